"""Certificates of tests: made when they run, good for a day."""
import subprocess

from cluster import fail


class Authority:
    """A certificate authority in a folder of its own, made now and good for a day."""

    def __init__(self, folder, name):
        self.folder = folder / name
        self.folder.mkdir()
        self.certificate = self.folder / "ca.pem"
        self.run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={name}", "-keyout",
                 self.folder / "ca.key", "-out", self.certificate)

    @staticmethod
    def run(*words):
        done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            fail(f"openssl {words[0]}: {done.stderr}")

    def issue(self, name, subject_alt_name=None, password_file=None):
        """(certificate, key in PKCS #8); with a password file the key is sealed by it."""
        request, certificate, key = (self.folder / f"{name}.{end}" for end in ("csr", "pem", "key"))
        seal = ["-passout", f"file:{password_file}"] if password_file else ["-nodes"]
        self.run("req", "-new", "-newkey", "rsa:2048", *seal, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={subject_alt_name}\n" if subject_alt_name else "basicConstraints=CA:FALSE\n")
        self.run("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.folder / "ca.key", "-CAcreateserial",
                 "-days", "1", "-extfile", extensions, "-out", certificate)
        return certificate, key
