"""nginx: `http_port` and `https_port`; `/` is a page, `/broken` answers 503, `/moved` redirects to a dead end."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.ports import free_port
from tests.e2e.programs import need
from tests.e2e.servers.certificates import Certificate
from tests.e2e.servers.real import RealServer

PAGE = "all is well"

CONFIGURATION = """\
daemon off;
master_process on;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{http};
    listen 127.0.0.1:{https} ssl;
    ssl_certificate {certificate.certificate_file};
    ssl_certificate_key {certificate.key_file};
    location / {{ return 200 "{page}\\n"; }}
    location /broken {{ return 503; }}
    location /moved {{ return 302 http://127.0.0.1:9/; }}
  }}
}}
"""


class Nginx(RealServer):
    """nginx in the foreground with one worker; killing only its main process leaves that worker serving."""

    def __init__(self, folder: Path, certificate: Certificate) -> None:
        program = need("nginx", "nginx-light")
        self.http_port, self.https_port = free_port(), free_port()
        folder.mkdir(mode=0o755, exist_ok=True)
        configuration = folder / "nginx.conf"
        configuration.write_text(
            CONFIGURATION.format(
                folder=folder, certificate=certificate, http=self.http_port, https=self.https_port, page=PAGE
            )
        )
        command = [program, "-p", str(folder), "-e", "stderr", "-c", str(configuration)]
        super().__init__(folder, command, (self.http_port, self.https_port))
