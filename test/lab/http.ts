/** A web server that answers with its host's name, and a request to it. */

export const httpServer = "mkdir -p /srv/www && hostname >/srv/www/index.html && busybox httpd -p 80 -h /srv/www";

export const httpRequest = (vip: string): string => `curl -sS -m 30 http://${vip}/`;
