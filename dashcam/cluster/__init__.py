"""The stack in a Kubernetes cluster: deploying, reaching and looking into it, all through kubectl."""
