"""A Kubernetes cluster of one real node, made of what package registries hold, while a command runs.

    python -m onenode -- pytest tests/cluster

builds the images (images.py), enters namespaces of its own (namespaces.py), starts an API server with its
controllers (tests/apiserver), containerd, a kubelet and the rest of a node there (node.py), and runs the
command with a KUBECONFIG for it. Mounts, addresses, packet filter and processes end with the namespaces; the
machine is left as it was, also when the run is killed.
"""
