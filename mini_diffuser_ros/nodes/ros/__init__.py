"""What every node needs: messages and records, parameters, processes, diagnostics, waiting, action goals."""
