"""The messages of etcd's v3 API that the store uses. `rpc.proto` is the source; `rpc_pb2` is made by grpcio-tools:

python -m grpc_tools.protoc -I src --python_out src --pyi_out src src/kajitori/storage/etcd_api/rpc.proto
"""
