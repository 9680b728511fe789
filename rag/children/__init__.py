"""Runs tasks on untrusted input in child processes that have limits and reach nothing.

The threat is a hostile document. It may exhaust memory, processor time or output, or end the
process: each ends one call, with a typed failure. It may even take over the code that reads it:
that process has no network, no files but program code and a scratch folder of its own, no
privileges and no secrets, and it goes when its caller goes. What remains to it is to answer wrongly
(also in later calls, until it is replaced), to fill the scratch folder's disk and to start many
processes of its own (bound those with a container). Where the system lacks a protection, tasks run
without it, and `ChildPool.protections` says so.

Knows processes, sockets and Linux; nothing of documents. Callers use `pool.ChildPool`, `limits` and
`failures`; `boot`, `worker` and `sandbox` run in the child.
"""
