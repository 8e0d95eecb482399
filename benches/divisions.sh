#!/bin/sh
# Searches the machine code of the cipher for divisions, whose time depends on what is divided.
#
#     cargo bench -p cipherform-cipher --bench constant_time --no-run
#     benches/divisions.sh target/release/deps/constant_time-…
#
# Prints each function of the crate `cipherform-cipher` that divides, with its divisions, and how many functions were
# searched. What is inlined into another function is searched there. The naive kernel divides, and so does what finds
# reciprocals of a radix once for a key: neither is meant to be constant in time. See src/manual/threats.rs.
set -eu

if [ $# -ne 1 ] || [ ! -f "$1" ]; then
    echo "usage: $0 BINARY (a release build with the cipher in it)" >&2
    exit 1
fi

objdump --disassemble --demangle --no-show-raw-insn "$1" | awk '
    /^[0-9a-f]+ <.*>:$/ {
        name = $0
        sub(/^[0-9a-f]+ </, "", name)
        sub(/>:$/, "", name)
        is_ours = name ~ /cipherform_cipher::/
        searched += is_ours
        next
    }
    is_ours && $2 ~ /^v?i?div([bwlq]|[sp][sd])?$/ {
        if (!(name in count)) order[++functions] = name
        count[name]++
        kinds[name] = kinds[name] (index(" " kinds[name] " ", " " $2 " ") ? "" : " " $2)
    }
    END {
        for (at = 1; at <= functions; at++) {
            name = order[at]
            printf "%3d %-12s %s\n", count[name], substr(kinds[name], 2), name
        }
        printf "%d functions of the cipher searched, %d divide\n", searched, functions
    }
'
