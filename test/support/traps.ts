/** Commands of a lab host that count how often they are called, and go wrong where a test says. */
import type { Lab } from "./lab";

/**
 * What happens at the nth command: it fails without or after its work, never ends, ends its whole session, or waits until
 * the trap is disarmed and then does its work; or the machine is reset, as by its power switch.
 */
export type Fault = "fails" | "fails after its work" | "hangs" | "kills its session" | "waits" | "resets its machine";

/** What the provider's scripts run as processes, as far as a fault in it has consequences. */
const COMMANDS = ["ipvsadm", "ip", "nft", "modprobe", "sync", "mv", "rm", "mkdir", "rmdir", "cksum", "grep", "sed"];

/** A machine that was reset comes up without it: its traps do nothing. */
const DIRECTORY = "/run/traps";

const trap = (real: string): string => `#!/bin/sh
[ -e ${DIRECTORY}/armed ] || exec ${real} "$@"
if [ -e ${DIRECTORY}/which ]; then
    read -r which < ${DIRECTORY}/which
    case "\${0##*/} $*" in $which) ;; *) exec ${real} "$@" ;; esac
fi
read -r n < ${DIRECTORY}/count
n=$((n + 1))
echo $n > ${DIRECTORY}/count
read -r first last fault < ${DIRECTORY}/armed
[ "$n" -ge "$first" ] && [ "$n" -le "$last" ] || exec ${real} "$@"
echo "\${0##*/} $*" > ${DIRECTORY}/sprung
case $fault in
"fails after its work") ${real} "$@"; exit 1 ;;
hangs) exec sleep 600 ;;
waits) while [ -e ${DIRECTORY}/armed ]; do sleep 0.2; done; exec ${real} "$@" ;;
"kills its session") pkill -9 -s 0; kill -9 $$ ;;
"resets its machine") echo b > /proc/sysrq-trigger; exec sleep 600 ;;
esac
echo "trapped" >&2
exit 1
`;

/** Puts the traps before the real commands; they do nothing until they are armed. */
export async function setTraps(lab: Lab, host: string): Promise<void> {
    const lines: string[] = [];
    for (const command of COMMANDS) {
        const real = (await lab.sh(host, `PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v ${command}`)).trim();
        lines.push(`cat > /usr/local/bin/${command} <<'TRAP'\n${trap(real)}TRAP`, `chmod +x /usr/local/bin/${command}`);
    }
    await lab.sh(host, lines.join("\n"));
}

/**
 * The shell text that arms them: at the nth command from now; 0: they only count.
 *
 * @param which only commands that this pattern of the shell matches, such as `ipvsadm -R*`
 * @param last the last command that goes wrong, if it is not the one
 */
export const arm = (at: number, fault: Fault, which?: string, last = at): string =>
    [
        `/bin/mkdir -p ${DIRECTORY} && cd ${DIRECTORY}`,
        "/bin/rm -f sprung which",
        ...(which === undefined ? [] : [`echo '${which}' > which`]),
        "echo 0 > count",
        `echo '${at} ${last} ${fault}' > armed`,
    ].join("; ");

/** The shell text that lets a command go on that waits; the counts stay. Its own rm is none of those that go wrong. */
export const release = `/bin/rm -f ${DIRECTORY}/armed`;

/** The shell text that prints the command that went wrong, if there was one yet. */
export const tell = `cat ${DIRECTORY}/sprung 2>/dev/null || true`;

/** The shell text that disarms them, and prints how many commands there were, and the one that went wrong. */
export const disarm = `${release}; cat ${DIRECTORY}/count ${DIRECTORY}/sprung 2>/dev/null; rm -f ${DIRECTORY}/sprung ${DIRECTORY}/count ${DIRECTORY}/which`;
