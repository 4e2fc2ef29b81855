"""The functions behind the paths of ``/v1``, one module per kind of object."""
