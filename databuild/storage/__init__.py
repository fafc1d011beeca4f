"""Files by URI: folders of this machine and object stores. Jobs, builds and logs are unknown here."""
