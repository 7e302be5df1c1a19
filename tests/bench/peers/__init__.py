"""Who else asks servers whether they are alive, each as its own users run it, at the same pace on the same server."""
