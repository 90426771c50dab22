while :; do sleep 1000 & done
