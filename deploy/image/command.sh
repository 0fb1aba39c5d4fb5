#!/bin/sh
# The name of a service in, the program that starts it out: `command.sh email` -> exec python -m email_service
set -eu
service=$1
if [ -f "${service}/__main__.py" ]; then
    module=${service}
elif [ -f "${service}_service/__main__.py" ]; then
    module=${service}_service
elif [ -f "launcher/${service}.py" ]; then
    module=launcher.${service}
else
    echo "SERVICE=${service}: there is no such service here" >&2
    exit 1
fi
printf '#!/bin/sh\nexec /app/bin/python -m %s "$@"\n' "${module}"
