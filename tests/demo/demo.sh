#!/usr/bin/env bash
# The main job on real input: protect, ask, reveal, compare. Leaves everything in ./demo.
# $1: the folder with the built `cipherform` and `examples/demo-data`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
PATH="$build:$build/examples:$PATH"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }
run() { # shows a command, then runs it
    printf '$'
    for word in "$@"; do
        case $word in *[[:space:]]*) printf ' "%s"' "$word" ;; *) printf ' %s' "$word" ;; esac
    done
    printf '\n'
    "$@"
}

rm -rf demo && mkdir demo && cd demo
mkdir plain protected revealed

# The demo keeps to its own folder. Normally the local KMS is in your configuration directory, behind a passphrase.
export CIPHERFORM_LOCAL_KMS=$PWD/kms/kms.json CIPHERFORM_KEY_FILE=$PWD/kms/unlock.key

say "1. Some data: TPC-H customers and orders, and people who do not exist"
demo-data write plain
echo "The customers are shuffled: their keys count up from 1, so that in file order a row's place would tell its key,"
echo "whatever the encryption. Order leaks rank; shuffle or sort by something else before you protect a key."

say "2. A policy, a keyring, and the local KMS that guards it"
run cipherform init
cp "$here/policy.toml" policy.toml
echo
echo "The demo's policy.toml says which column gets which rule:"
sed -n '/^\[columns\]/,/^$/p' policy.toml

say "3. Protect"
for table in customer orders people; do
    run cipherform protect plain/$table.parquet protected/$table.parquet
done

say "4. Before and after, side by side: a card is still a card, an e-mail an e-mail"
cipherform query --stored before=plain/people.parquet after=protected/people.parquet -c "
    SELECT b.ssn AS ssn_before, a.ssn AS ssn_after, b.card AS card_before, a.card AS card_after
    FROM before b JOIN after a ON a.id = b.id ORDER BY b.id LIMIT 5"
cipherform query --stored before=plain/people.parquet after=protected/people.parquet -c "
    SELECT b.email AS email_before, a.email AS email_after, b.birth_date AS birth_date_untouched
    FROM before b JOIN after a ON a.id = b.id ORDER BY b.id LIMIT 5"
cipherform query --stored customer=protected/customer.parquet -c "
    SELECT c_custkey, c_name, c_phone, c_mktsegment FROM customer LIMIT 3"

say "5. A join and group-bys on the protected columns, without any key, give the plain answers"
ask() { # the same question of plain and of protected files, both as they are stored
    echo "$1"
    cipherform query --stored -c "$1" plain/customer.parquet plain/orders.parquet >plain/answer.txt
    cipherform query --stored -c "$1" protected/customer.parquet protected/orders.parquet >protected/answer.txt
    if cmp -s plain/answer.txt protected/answer.txt; then
        cat protected/answer.txt
        echo "=> the same on plain and on protected data"
    else
        echo "=> DIFFERENT" && diff plain/answer.txt protected/answer.txt
        exit 1
    fi
}
ask "SELECT c_mktsegment, count(*) AS orders, sum(o_totalprice) AS total
     FROM customer JOIN orders ON c_custkey = o_custkey
     GROUP BY c_mktsegment ORDER BY c_mktsegment"
ask "SELECT orders_each, count(*) AS customers
     FROM (SELECT o_custkey, count(*) AS orders_each FROM orders GROUP BY o_custkey)
     GROUP BY orders_each ORDER BY orders_each DESC LIMIT 5"

say "6. With the keys, SQL sees through the protection; a role sees what the policy grants it"
run cipherform query -c "SELECT id, name, ssn, card FROM people ORDER BY id LIMIT 2" protected/people.parquet
run cipherform query --role analyst -c "SELECT id, card, email FROM people ORDER BY id LIMIT 2" protected/people.parquet

say "7. Reveal, and prove that every value came back"
for table in customer orders people; do
    run cipherform reveal protected/$table.parquet revealed/$table.parquet
    demo-data equal plain/$table.parquet revealed/$table.parquet
done

say "Done. Everything is in ./demo; to play with it:"
cat <<TRY
  cd demo
  export CIPHERFORM_LOCAL_KMS=\$PWD/kms/kms.json CIPHERFORM_KEY_FILE=\$PWD/kms/unlock.key
  export PATH="$build:\$PATH"
  cipherform inspect protected/people.parquet
  cipherform query protected/people.parquet                     # a prompt
  cipherform keys rotate pii && cipherform keys describe pii
  cipherform query -c "SELECT protect('4111-1111-1111-1111', 'card')" protected/people.parquet
TRY
