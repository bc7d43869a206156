"""The messages of the KMS plugin API v2, and how a value is stored that was encrypted with its help. `api.proto` is the
source; `api_pb2` is made by grpcio-tools:

python -m grpc_tools.protoc -I src --python_out src --pyi_out src src/kajitori/apiserver/encryption/kms_api/api.proto
"""
