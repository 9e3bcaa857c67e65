#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# m2m-node derive: every published vector, and what it refuses.
set -u
node=${top_builddir:-.}/csf/m2m-node
vectors=${top_srcdir:-.}/tests/data/kdf.json
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
failures=0

python3 - "$node" "$vectors" <<'EOF' || failures=1
import json, subprocess, sys
node, path = sys.argv[1:]
count = 0
for v in json.load(open(path))["vectors"]:
    args = ["--mtf-id", v["mtfId"], "--mas-id", v["masId"], "--enrolee-id", v["enroleeId"],
            "--target-id", v["associationTargetId"], "--sequence", str(v["sequence"]), "--random", v["random"]]
    for export, stdin in ((v["export"], ""), (v["export"].upper(), ""), ("-", v["export"] + "\n"), ("-", v["export"])):
        r = subprocess.run([node, "derive", "--export", export] + args, input=stdin, capture_output=True, text=True)
        if r.returncode != 0 or json.loads(r.stdout) != v:
            sys.exit(f"vector {v['keId']}: status {r.returncode} {r.stderr}{r.stdout}")
        count += 1
    if f'"sequence": {v["sequence"]},' not in r.stdout:
        sys.exit(f"vector {v['keId']}: the sequence is not printed as an integer")
print(f"{count} derivations equal the vectors")
sys.exit(0 if count else "no vectors")
EOF

good_export=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f

# refuse WORD OPTION VALUE: with OPTION VALUE in place of the good one: status 2, a message with WORD, nothing printed.
refuse() {
	word=$1; shift
	export_=$good_export mtf=mtf.example.com mas=mas.example.com enrolee=//sp.example.com/n target=//sp.example.com/in
	sequence=1 random=0000000000000000
	case $1 in
	--export) export_=$2 ;; --mtf-id) mtf=$2 ;; --mas-id) mas=$2 ;; --enrolee-id) enrolee=$2 ;;
	--target-id) target=$2 ;; --sequence) sequence=$2 ;; --random) random=$2 ;;
	esac
	"$node" derive --export "$export_" --mtf-id "$mtf" --mas-id "$mas" --enrolee-id "$enrolee" --target-id "$target" \
		--sequence "$sequence" --random "$random" >"$dir/out" 2>"$dir/err" </dev/null
	status=$?
	if [ $status -ne 2 ] || [ -s "$dir/out" ] || ! grep -q -e "$word" "$dir/err"; then
		echo "FAIL: derive $*: status $status: $(cat "$dir/err")"
		failures=1
	fi
	if grep -q -i "$good_export" "$dir/err"; then
		echo "FAIL: derive $*: the message holds key octets"
		failures=1
	fi
}

refuse export --export ''
refuse export --export -
refuse export --export "${good_export}00"
refuse export --export "${good_export%2f}"
refuse export --export "${good_export%2f}2g"
refuse export --export "${good_export%2f} 2f"
refuse mtf-id --mtf-id 'mtf example'
refuse mtf-id --mtf-id ''
refuse mas-id --mas-id 'mas..example'
refuse mas-id --mas-id 'mas.example.'
refuse enrolee-id --enrolee-id node-7
refuse enrolee-id --enrolee-id //sp.example.com/
refuse enrolee-id --enrolee-id '//sp.example.com/a"b'
refuse target-id --target-id /in-cse
refuse target-id --target-id ''
refuse sequence --sequence ''
refuse sequence --sequence -1
refuse sequence --sequence +1
refuse sequence --sequence 0x10
refuse sequence --sequence '1 '
refuse sequence --sequence 18446744073709551616
refuse sequence --sequence 99999999999999999999999
refuse random --random 00
refuse random --random 00000000000000000
refuse random --random 000000000000000g

# usage ARGUMENTS: status 2 and a message.
usage() {
	"$node" "$@" >"$dir/out" 2>"$dir/err" </dev/null
	status=$?
	if [ $status -ne 2 ] || [ -s "$dir/out" ] || [ ! -s "$dir/err" ]; then
		echo "FAIL: m2m-node $*: status $status: $(cat "$dir/err")"
		failures=1
	fi
}
usage
usage nonsense
usage derive
usage derive --export $good_export
usage derive --nonsense
usage derive --export
usage enrol --relay 127.0.0.1:1
usage enrol --relay 127.0.0.1:1 --keys "$dir/k"
usage enrol --relay 127.0.0.1:1 --keys "$dir/k" --psk-identity x
usage enrol --relay 127.0.0.1:1 --keys "$dir/k" --cert x
usage enrol --relay 127.0.0.1:1 --keys "$dir/k" --cert x --key y
usage enrol --relay 127.0.0.1:1 --keys "$dir/k" --psk-identity x --psk-file y --cert x --key y --mtf-id m.example
usage enrol --relay 127.0.0.1:1 --keys "$dir/k" --psk-identity x --psk-file y --timeout 0
usage enrol --relay 127.0.0.1:1 --keys "$dir/k" --psk-identity x --psk-file y more
usage associate --keys "$dir/k"
usage associate 127.0.0.1:1
usage associate 127.0.0.1:1 127.0.0.1:2 --keys "$dir/k"

for verb in --help 'derive --help' 'enrol --help' 'associate --help'; do
	# shellcheck disable=SC2086
	"$node" $verb >"$dir/out" 2>"$dir/err" || { echo "FAIL: $verb"; failures=1; }
	grep -q '^usage: m2m-node' "$dir/out" || { echo "FAIL: $verb prints no usage"; failures=1; }
done
exit $failures
