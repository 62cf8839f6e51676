"""Translation between the APIs that clients and providers speak, through one canonical form. Pure.

`form` is what is said, whoever says it. Each dialect is one package (`chat`, `responses`, `messages`, `gemini`) that reads its own
requests, answers and streams into it, and writes them from it; none knows another. `spoken` is what they offer, in one map.
"""
