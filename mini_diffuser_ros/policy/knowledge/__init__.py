"""What a policy knows about itself, beside its network: which sentences, scenes and ends it was taught."""
