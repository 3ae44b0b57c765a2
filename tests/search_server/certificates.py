"""The Secret `elasticsearch-tls` as cert-manager would make it of the production manifests."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml

MANIFESTS = Path(__file__).parents[2] / "k8s" / "components" / "elasticsearch-cluster" / "certificates"

_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def secret(folder: Path) -> Path:
    """`folder` with ca.crt, tls.crt and tls.key: names and usages of the Certificate, signed by a new CA."""
    spec = _certificate("elasticsearch")
    names = ",".join(f"DNS:{name}" for name in spec["dnsNames"])
    usages = {"server auth": "serverAuth", "client auth": "clientAuth"}
    used = ",".join(usages[each] for each in spec["usages"])
    folder.mkdir(parents=True)
    (folder / "extensions").write_text(f"subjectAltName={names}\nextendedKeyUsage={used}\n")
    authority = ["-x509", "-days", "2", "-subj", "/CN=dashcam-ca", "-keyout", "ca.key", "-out", "ca.crt"]
    _openssl(folder, "req", *_KEY, *authority)
    subject = ["-subj", f"/CN={spec['commonName']}", "-keyout", "tls.key", "-out", "tls.csr"]
    _openssl(folder, "req", *_KEY, *subject)
    signed = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "extensions"]
    _openssl(folder, "x509", "-req", "-in", "tls.csr", *signed, "-out", "tls.crt")
    for name in ("ca.key", "ca.srl", "tls.csr", "extensions"):
        (folder / name).unlink(missing_ok=True)
    return folder


def _certificate(name: str) -> dict:
    for path in sorted(MANIFESTS.glob("*.yaml")):
        for each in yaml.safe_load_all(path.read_text()):
            if each.get("kind") == "Certificate" and each["metadata"]["name"] == name:
                return dict(each["spec"])
    raise LookupError(f"no Certificate {name} in {MANIFESTS}")


def _openssl(folder: Path, *arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
