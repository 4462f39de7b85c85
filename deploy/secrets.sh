#!/bin/sh
# Makes the passwords of docker-compose.yml in ./secrets, each random; what is there already is kept.
#
# The directory is closed to everybody else. The files in it may be read by all, since a container that is not root
# reads them as another user: whoever cannot enter the directory cannot reach them.
set -eu
cd "$(dirname "$0")/.."
umask 077
command -v openssl >/dev/null || { echo "deploy/secrets.sh needs openssl" >&2; exit 1; }
mkdir -p secrets
chmod 700 secrets

keep() { # keep NAME TEXT: stores a secret that the containers may read, unless it is there
    if [ ! -s "secrets/$1" ]; then
        printf '%s\n' "$2" >"secrets/.$1"
        chmod 444 "secrets/.$1"
        mv "secrets/.$1" "secrets/$1"
    fi
}

for name in postgres_password worker_password dashboard_password; do
    keep "$name" "$(openssl rand -hex 24)"
done

# You enter the dashboard as `sweetspot` with the password in secrets/login, which no container sees: nginx gets a hash.
# `openssl passwd` knows no bcrypt, and LibreSSL no -6; the password has 96 random bits, so no hash needs to be slow.
if [ ! -s secrets/login ]; then
    openssl rand -hex 12 >secrets/login
    rm -f secrets/htpasswd
fi
hashed=$(openssl passwd -6 -stdin <secrets/login 2>/dev/null || openssl passwd -apr1 -stdin <secrets/login)
keep htpasswd "sweetspot:$hashed"
echo "user sweetspot, password in secrets/login"
