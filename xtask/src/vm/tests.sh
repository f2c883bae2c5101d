# Runs the kernel tests: a line of the report for each case.

set --
while IFS= read -r word; do
    set -- "$@" "$word"
done < /test/arguments

/test/kernel --list "$@" < /dev/null | while IFS= read -r listed; do
    case "$listed" in
        *": test") echo "{\"listed\": \"${listed%: test}\"}" > "$REPORT" ;;
    esac
done

KERNEL_TEST_RESULTS="$REPORT" /test/kernel "$@" < /dev/null
