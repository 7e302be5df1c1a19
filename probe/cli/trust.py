"""Whom a client trusts when the service speaks TLS, and as whom it shows itself: flags, the context, what went wrong.

There is no way to trust just anybody: `--insecure` is refused with the mend, as a certificate that nobody vouches for
can be named itself with `--ca-file`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from probe.cli.output import safe

if TYPE_CHECKING:
    import ssl

FLAGS = (
    ("--ca-file", "LOOKSALIVE_CA_FILE", "who vouches for the certificate of an https:// service (the system's)"),
    ("--client-cert-file", "LOOKSALIVE_CLIENT_CERT_FILE", "our certificate, for a service that asks for one"),
    ("--client-key-file", "LOOKSALIVE_CLIENT_KEY_FILE", "its key (within --client-cert-file)"),
)
NO_TRUST = (
    "an unverified certificate proves nothing, so there is no such option; "
    "name who vouches for it: --ca-file FILE (for a self-signed certificate, itself)"
)
HUNG_UP = (
    "hung up without an answer; if it asks for client certificates, pass one that its client_ca_file vouches for "
    "(--client-cert-file FILE --client-key-file FILE)"
)
CAUSES_MAX = 8
_EXPIRED, _TOO_EARLY, _OTHER_NAME, _OTHER_ADDRESS = 10, 9, 62, 64  # OpenSSL's X509_V_ERR_...
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNEXPECTED_EOF_WHILE_READING")


class Trust(NamedTuple):
    """The files of the three flags; None where none was named."""

    ca_file: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None

    def context(self, *, ours: bool = False) -> ssl.SSLContext:
        """Make the context. `ours`: the service that we were started beside is found by an address that its
        certificate need not name, and without `ca_file` it is not verified, as a kubelet's probe does it neither.

        Raises OSError (ssl.SSLError is one) with the flag and the file in the text.
        """
        import ssl

        context = ssl.create_default_context(cafile=None) if self.ca_file is None else _trusting(self.ca_file)
        if ours:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE if self.ca_file is None else ssl.CERT_REQUIRED
        if self.client_cert_file is not None:
            _show(context, self.client_cert_file, self.client_key_file)
        return context


class _Refuse(argparse.Action):
    """Answer an option that there is not on purpose."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> NoReturn:
        del namespace, values
        parser.error(f"{option_string}: {NO_TRUST}")


def add_trust_flags(parser: argparse.ArgumentParser) -> None:
    """Add the three flags, and the one that is refused."""
    for name, variable, about in FLAGS:
        parser.add_argument(name, metavar="FILE", help=f"{about}  [{variable}]")
    parser.add_argument("--insecure", nargs=0, action=_Refuse, help=argparse.SUPPRESS)


def context_of(
    arguments: argparse.Namespace, parser: argparse.ArgumentParser, url: str, *, ours: bool = False
) -> ssl.SSLContext | None:
    """Make the context for a URL, None for plain HTTP. Ends in a usage error that names the flag and the mend."""
    trust = trust_of(arguments, os.environ)
    if not url.startswith("https:"):
        named = next((flag for flag, _, _ in FLAGS if getattr(arguments, _dest(flag))), None)
        if named is not None:
            parser.error(f"{named} is for a service that speaks TLS; write https:// in --url")
        return None
    if trust.client_key_file and not trust.client_cert_file:
        parser.error("--client-key-file is nothing without its certificate; pass --client-cert-file FILE too")
    try:
        return trust.context(ours=ours)
    except OSError as error:
        parser.error(str(error))


def trust_of(arguments: argparse.Namespace, variables: Mapping[str, str]) -> Trust:
    """Take each file from its flag, else from its variable."""
    return Trust(*(getattr(arguments, _dest(flag)) or variables.get(variable) or None for flag, variable, _ in FLAGS))


def explain(error: BaseException) -> str:
    """Say what went wrong between two ends of TLS, with the mend; empty when it was something else."""
    import ssl

    fault = next((each for each in _causes(error) if isinstance(each, ssl.SSLError)), None)
    if fault is None:
        return ""
    if isinstance(fault, ssl.SSLCertVerificationError):
        return _distrust(fault)
    reason = fault.reason or ""
    if reason in _NO_TLS:
        return "it does not speak TLS there; write http:// in the URL"
    said = safe(reason.lower().replace("_", " ") or str(fault))
    if "ALERT" in reason:
        return f"it does not accept us ({said}); is --client-cert-file one that its client_ca_file vouches for?"
    return f"no TLS can be agreed on ({said}); see tls_server_config of its --web-config"


def _distrust(fault: ssl.SSLCertVerificationError) -> str:
    if fault.verify_code in (_EXPIRED, _TOO_EARLY):
        when = "has expired" if fault.verify_code == _EXPIRED else "is not valid yet (or our clock is wrong)"
        return f"its certificate {when}; give the service a new one (cert_file of its --web-config)"
    if fault.verify_code in (_OTHER_NAME, _OTHER_ADDRESS):
        return f"its certificate is for another name ({safe(fault.verify_message)}); write a name of it in the URL"
    return f"its certificate is not trusted ({safe(fault.verify_message)}); name who vouches for it with --ca-file FILE"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk to what is at the bottom of an error of the HTTP client, leaving out its own wrappings of TLS errors."""
    at: BaseException | None = error
    for _ in range(CAUSES_MAX):
        if at is None:
            return
        if hasattr(at, "reason"):
            yield at
        at = getattr(at, "certificate_error", None) or getattr(at, "os_error", None) or at.__cause__ or at.__context__


def _dest(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")


def _trusting(path: str) -> ssl.SSLContext:
    import ssl

    try:
        return ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        raise OSError(f"--ca-file: {path} holds no certificate; it must be PEM") from None
    except OSError as error:
        raise OSError(f"--ca-file: cannot read {path}: {error.strerror or error}") from None


def _show(context: ssl.SSLContext, certificate: str, key: str | None) -> None:
    import ssl

    files = f"{certificate} and {key}" if key else certificate
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        said = (error.reason or "no PEM").lower().replace("_", " ")
        mend = "" if key else "; a key in a file of its own goes into --client-key-file"
        raise OSError(f"--client-cert-file: {files} cannot be used: {said}{mend}") from None
    except ValueError as error:
        raise OSError(f"--client-key-file: {key or certificate}: {error}") from None
    except OSError as error:
        raise OSError(f"--client-cert-file: cannot read {files}: {error.strerror or error}") from None


def _no_password() -> str:
    raise ValueError("the key is encrypted, and nobody is asked for its password; pass one that is not")
