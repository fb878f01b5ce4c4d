"""Third parties' formats, rendered in processes of their own."""
