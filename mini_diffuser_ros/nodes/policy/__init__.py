"""From a sentence to candidates: one sentence at a time, the newest cloud, decisions in a thread of their own."""
