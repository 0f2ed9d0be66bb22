"""Tandem's published messages for Python, made from proto/ by protoc when asked for."""
import importlib
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROTOS = sorted((ROOT / "proto").rglob("*.proto"))
# Where Debian's golang-github-gogo-googleapis-dev puts google/rpc/*.proto.
GOOGLE_RPC = "/usr/share/gocode/src/github.com/gogo/googleapis"


class Messages:
    """`make("tandem.intake.v1.OpenTicketRequest", …)`, and `method("tandem.intake.v1.TicketService/OpenTicket")`."""

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["protoc", "-I", ROOT / "proto", "-I", GOOGLE_RPC, f"--python_out={folder}", *PROTOS,
                        f"{GOOGLE_RPC}/google/rpc/error_details.proto", f"{GOOGLE_RPC}/google/rpc/status.proto"], check=True)
        sys.path.insert(0, str(folder))
        for proto in PROTOS:
            importlib.import_module(".".join(proto.relative_to(ROOT / "proto").with_suffix("").parts) + "_pb2")
        for name in ("error_details", "status"):
            importlib.import_module(f"google.rpc.{name}_pb2")
        from google.protobuf import descriptor_pool, symbol_database
        self._pool, self._database = descriptor_pool.Default(), symbol_database.Default()

    def type(self, name):
        """The class of a message; KeyError for a name that proto/ does not know."""
        return self._database.GetPrototype(self._pool.FindMessageTypeByName(name))

    def make(self, name, **fields):
        return self.type(name)(**fields)

    def method(self, name):
        """(class of the request, class of the reply) of "package.Service/Method"."""
        service, method = name.split("/")
        found = self._pool.FindServiceByName(service).FindMethodByName(method)
        return self._database.GetPrototype(found.input_type), self._database.GetPrototype(found.output_type)

    def caller(self, channel, name):
        """What calls "package.Service/Method" over a channel of grpcio."""
        request_type, reply_type = self.method(name)
        return channel.unary_unary(f"/{name}", request_type.SerializeToString, reply_type.FromString)

    def number(self, enum, value):
        return self._pool.FindEnumTypeByName(f"tandem.type.v1.{enum}").values_by_name[value].number
