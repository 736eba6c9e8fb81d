"""Pure translations between Python, Arrow and the wire, shared by client, workers and edge."""
