"""MySQL and MariaDB as the other databases are: Django's backend, and where it would let a promise depend on the server."""
