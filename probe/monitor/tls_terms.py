"""TLS contexts, one for each way of judging a peer, shared by all bindings that judge the same way."""

from __future__ import annotations

import ssl
import warnings

from msgspec.structs import replace

from bindings.model import Tls
from bindings.store import Files
from probe.monitor.tls import TlsTerms

CA_BYTES_MAX = 4 * 1024 * 1024
OLD_CIPHERS = "DEFAULT:@SECLEVEL=0"  # OpenSSL 3 speaks TLS 1.0 and 1.1 at no other level

_VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}


class TlsContexts:
    """Make the terms of TLS of a binding; a context is built once and kept."""

    __slots__ = ("_contexts", "_files")

    def __init__(self, files: Files) -> None:
        self._files = files
        self._contexts: dict[tuple[Tls, str], ssl.SSLContext] = {}

    def terms_for(self, tls: Tls, server_name: str, application: str = "") -> TlsTerms:
        """Return the terms; `application` is the protocol to agree on (ALPN), where the peer insists on one.

        Raises OSError (ssl.SSLError is one) or ValueError for files that cannot be used.
        """
        key = (replace(tls, server_name=None), application)
        context = self._contexts.get(key)
        if context is None:
            context = self._contexts[key] = self._context_of(tls)
            if application:
                context.set_alpn_protocols([application])
        return TlsTerms(context, server_name)

    def forget(self) -> None:
        """Drop the contexts, so that the next plans read the files anew; plans in use keep theirs."""
        self._contexts.clear()

    def _context_of(self, tls: Tls) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if not tls.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif tls.ca_file is not None:
            context.load_verify_locations(cadata=self._files.read(tls.ca_file, CA_BYTES_MAX).decode("ascii", "replace"))
        else:
            context.load_default_certs()
        if tls.client_cert_file is not None:
            # OpenSSL opens these two by itself; it has no way to take a key from memory.
            context.load_cert_chain(tls.client_cert_file, tls.client_key_file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # who asks for 1.0 has a server that speaks no better
            context.minimum_version = _VERSIONS[tls.min_version]
        if context.minimum_version < ssl.TLSVersion.TLSv1_2:
            context.set_ciphers(OLD_CIPHERS)
        return context
