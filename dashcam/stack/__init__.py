"""The local stack: every part as a supervised process of this machine, on loopback only.

`prerequisites` runs before anything is installed; `settings`, `ports` and `programs` say what is to
run and where; `supervision` keeps it running; `lifecycle` is `make up`, `make down`, `make status`.
"""
