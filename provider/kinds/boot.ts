import { BOOT_SCRIPT, BOOT_UNIT, bootFiles, readBoot } from "./bootFiles";
import { type Action, type Kind, ranks } from "./kind";
import { lines } from "./probe";

/**
 * The one unit that runs the ledger's lines at boot, keyed `pulumi-lvs.service`; its value says which text it has.
 * Where two versions of this package work on one host, the one that came last has its text there: both run any ledger.
 */
export const bootKind: Kind<string> = {
    name: "boot",
    nature: "thing",
    ours: () => true,
    clashes: false,
    rank: () => ranks.boot,
    read: (probe) => {
        const value = readBoot(lines(probe, "boot"));
        return new Map(value === undefined ? [] : [[BOOT_UNIT, value]]);
    },
    set: () => [
        ...Object.entries(bootFiles).map(
            ([path, { text, mode, optional }]): Action => ({
                script: optional ? WRITE_WHERE_IT_BELONGS : WRITE,
                words: [path, mode],
                texts: [text],
            }),
        ),
        { script: ENABLE, words: [BOOT_UNIT] },
    ],
    unset: () => [{ script: DISABLE, words: [BOOT_UNIT, ...Object.keys(bootFiles)] }],
    boot: () => [],
    describe: () => `boot unit ${BOOT_UNIT}`,
};

/** The value that a host with our present files has. */
export { bootValue } from "./bootFiles";
export { BOOT_SCRIPT, BOOT_UNIT };

const WRITE = `mkdir -p "\${1%/*}" && printf '%s' "$3" > "$1.new" && chmod "$2" "$1.new" && mv -f "$1.new" "$1"`;

const WRITE_WHERE_IT_BELONGS = `[ -d "\${1%/*}" ] || exit 0; ${WRITE}`;

/** A systemd that is installed but does not run (an image being built, a container) is told by its links alone. */
const ENABLE = `
command -v systemctl >/dev/null 2>&1 || { echo "no systemd here: set persistAcrossReboot: false" >&2; exit 1; }
systemctl -q enable "$1" || exit 1
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
systemctl -q --no-block restart "$1" || :`.trim();

const DISABLE = `
u=$1; shift
systemctl -q disable "$u" 2>/dev/null
if [ -d /run/systemd/system ]; then systemctl -q --no-block stop "$u"; fi
rm -f -- "$@" && { [ ! -d /run/systemd/system ] || systemctl daemon-reload; }`.trim();
