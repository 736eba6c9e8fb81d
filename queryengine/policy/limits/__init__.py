"""What a tenant, a subject and an API key may use: which limits hold for whom, and how fast they may submit."""
