"""nginx, one worker; bodies stream both ways, as everybody else's do."""

from bench.processes import program
from bench.race.peers.peer import Command, Place


def command(place: Place) -> Command:
    """A proxy before two pools of kept connections."""
    folder, tls, listen = place.folder, "", f"127.0.0.1:{place.listen} backlog=4096"
    if place.certificate:
        tls = f"ssl_certificate {place.certificate.chain}; ssl_certificate_key {place.certificate.key};"
        listen += " ssl"
    config = place.write(
        "nginx.conf",
        f"""daemon off; worker_processes 1;
pid {folder}/nginx.pid; error_log {folder}/nginx.err warn;
events {{ worker_connections 32000; }}
http {{
  access_log off; keepalive_requests 100000000; keepalive_timeout 300s;
  client_max_body_size 0; proxy_request_buffering off; proxy_max_temp_file_size 0;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream stable {{ server 127.0.0.1:{place.stable}; keepalive 256; keepalive_requests 100000000; }}
  upstream canary {{ server 127.0.0.1:{place.canary}; keepalive 256; keepalive_requests 100000000; }}
  split_clients "$request_id" $version {{ 10% canary; * stable; }}
  server {{
    listen {listen}; {tls}
    location / {{
      proxy_pass http://$version; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host;
      proxy_set_header X-Request-Id $request_id; proxy_set_header Via "1.1 nginx"; add_header Via "1.1 nginx";
    }}
  }}
}}
""",
    )
    words = [program("nginx"), "-e", f"{folder}/nginx.err", "-c", str(config)]
    return Command(words, check=[*words, "-t"])
