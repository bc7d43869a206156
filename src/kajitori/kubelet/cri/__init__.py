"""Protocol buffer messages of CRI and containerd's events.

The `_pb2` modules are generated; after changing a `.proto`, from the root of the repository:

    cd src && python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. kajitori/kubelet/cri/{runtime,events}.proto

Services need no generated code: `kajitori.kubelet.cri_runtime` names each method's path. Importing these modules costs
some 20 MB, so only the node process does, and late.
"""
