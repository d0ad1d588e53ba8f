/**
 * The script of one batch: takes the lock, makes sure that the host is as it was when the plan was made, claims, does
 * the steps, writes the ledger, reads everything back, and answers once. POSIX sh: dash, bash, busybox.
 *
 * It is one function, called on its last line without arguments, so that half a script does nothing. It ignores HUP and
 * PIPE, lets its steps write to files in /run, and writes to the channel once, after the ledger.
 */
import { createHash, randomBytes } from "node:crypto";
import { connectionsTo, liveStates } from "../ipvs/connections";
import type { DestinationValue } from "../ipvs/model";
import { counterListings, deleteDestination, editDestination, restoreLine } from "../ipvs/render";
import { type Action, type Group, groups } from "../kinds";
import { LEDGER_DIRECTORY } from "../kinds/bootFiles";
import { quote } from "../ssh/quote";
import { type LedgerFile, renderLedger } from "./ledger";
import type { FileChanges, Plan, Step } from "./plan";
import { probeFunctions } from "./probeScript";
import { commandLine, constant } from "./shell";

/** Seconds that a script waits for another one's lock. */
export const LOCK_WAIT = 30;

export interface Batch {
    /** The checksum that the host must still have; undefined: only read. */
    expect: string | undefined;
    plans: Plan[];
    /** One `ipvsadm -R` for many rules, or one ipvsadm for each, which tells what each of them came to. */
    rules: "together" | "each";
    /** Seconds for everything under the lock. */
    timeout: number;
    /** Further settings to read, as paths under /proc/sys. */
    settings: string[];
    /** The parts of the probe that are read on demand; default: all. */
    groups?: readonly Group[];
    /** Read under the lock: what a script that is still running does is then over. */
    locked?: boolean;
    /** Also read what does not change while we work. */
    inform?: boolean;
}

/** What a script consists of, in its order, and which plans each part belongs to. */
export interface Part {
    plans: number[];
    steps: Step[];
    says: string;
    text: string;
}

export interface Script {
    text: string;
    nonce: string;
    parts: Part[];
}

export function renderScript(batch: Batch): Script {
    const nonce = randomBytes(12).toString("hex");
    const parts = batch.expect === undefined ? [] : renderParts(batch);
    const settings = batch.settings.filter((path) => /^[A-Za-z0-9_.,:@%+/-]+$/.test(path)).join(" ");
    const body = `
W=$1
LVS_NONCE=${nonce}
LVS_SETTINGS=${quote(settings)}
LVS_GROUPS=${quote(`|${(batch.groups ?? groups).join("|")}|`)}
${probeFunctions}
lvs_run() {
    echo "$1" > "$W/at"
    "lvs_$1" > "$W/o.$1" 2>&1 < /dev/null 9>&-
    r=$?
    echo "$1 $r" >> "$W/results"
    return $r
}
lvs_together() {
    o=$(ipvsadm -R 2>&1); r=$?
    [ -z "$o" ] || { printf '%s\\n' "$o"; [ $r != 0 ] || r=1; }
    return $r
}
${busy}
${parts.map((part, index) => `lvs_${index}() {\n${part.text}\n}`).join("\n")}
lvs_steps() {
${parts.map((_, index) => `    lvs_run ${index} || return`).join("\n")}
    :
}
# The script itself is on standard input.
{
draining=' '
${batch.inform === true ? `lvs_inform > "$W/inform"` : ""}
lvs_notice > "$W/notice"
lvs_probe > "$W/probe"
sum=$(lvs_sum "$W/probe")
${
    batch.expect === undefined
        ? `echo "read $sum" > "$W/outcome"`
        : `if [ "$sum" != ${quote(batch.expect)} ]; then echo "stale $sum" > "$W/outcome"; exit 0; fi
lvs_steps
lvs_notice > "$W/notice"
lvs_probe > "$W/probe"
echo "done $(lvs_sum "$W/probe")" > "$W/outcome"`
}
} < /dev/null
`;
    const locked = batch.expect !== undefined || batch.locked === true;
    const text = `lvs_main() {
trap '' HUP PIPE
LC_ALL=C; PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin; export LC_ALL PATH
umask 022
LVS_NONCE=${nonce}
W=/run/pulumi-lvs/run.${nonce}
${batch.inform === true ? sshConnection : ""}
for t in flock timeout; do
    command -v $t >/dev/null 2>&1 || { printf '\\n%s run.outcome\\nmissing %s\\n' $LVS_NONCE $t; return 0; }
done
if ! o=$(umask 077; { { [ -d /run/pulumi-lvs ] || mkdir -p /run/pulumi-lvs; }${locked ? " && : >> /run/pulumi-lvs/lock" : ""} && mkdir "$W"; } 2>&1); then
    printf '\\n%s run.outcome\\nrefused %s\\n' $LVS_NONCE "$o"
    return 0
fi
{ echo $$ > "$W/pid"; } 2>/dev/null
${locked ? lock : "{"}
${batch.expect === undefined ? "" : sweep}
timeout -k 5 ${Math.max(1, Math.ceil(batch.timeout))} sh -s "$W" > "$W/trouble" 2>&1 <<'LVS_${nonce}'
${body}
LVS_${nonce}
echo $? > "$W/status"
${locked ? unlock : "}"}
{
    for f in outcome results at status trouble draining; do
        [ -s "$W/$f" ] || continue
        printf '\\n%s run.%s\\n' $LVS_NONCE "$f"
        while IFS= read -r l || [ -n "$l" ]; do printf '%s\\n' "$l"; done < "$W/$f"
    done
    for f in "$W"/o.*; do
        [ -s "$f" ] || continue
        printf '\\n%s run.%s\\n' $LVS_NONCE "\${f##*/}"
        cat "$f"
    done
    set --
    for f in inform notice probe; do [ -e "$W/$f" ] && set -- "$@" "$W/$f"; done
    [ $# = 0 ] || cat "$@"
    printf '\\n%s run.end\\n' $LVS_NONCE
} 2>/dev/null
rm -rf "$W"
:
}
lvs_main
`;
    return { text, nonce, parts };
}

/** sudo takes it out of the environment that it gives on, and has it in its own. */
const sshConnection = `[ -n "$SSH_CONNECTION" ] ||
    SSH_CONNECTION=$({ tr '\\000' '\\n' < /proc/$PPID/environ | sed -n 's/^SSH_CONNECTION=//p'; } 2>/dev/null)
export SSH_CONNECTION`;

/** Waiting for the lock is no part of the time that the work may take; and the answer is sent without it. */
const lock = `{ if flock -w ${LOCK_WAIT} 9; then`;
/** What scripts that were killed have left, without a process where there is nothing. One without a number may be just beginning. */
const sweep = `for d in /run/pulumi-lvs/run.*; do
    p=; { read -r p < "$d/pid"; } 2>/dev/null
    [ -z "$p" ] || kill -0 "$p" 2>/dev/null || rm -rf "$d"
done`;
const unlock = `else echo busy > "$W/outcome"; fi; } 9>/run/pulumi-lvs/lock`;

/**
 * `lvs_busy` prints `|SERVICE REALSERVER|N` for each real server with N active connections, in the shell's own words.
 * `lvs_opening` tells by a pattern whether a real server has connections whose handshake is under way: the kernel does not
 * count them as active yet, and they were let in before its weight was 0.
 */
const busy = `lvs_busy() {
    ipvsadm -Ln | while read -r p a f w n r; do
        case $p in
        TCP|UDP|SCTP) s="$p $a" ;;
        FWM) case $f in IPv6) s="FWM6 $a" ;; *) s="FWM $a" ;; esac ;;
        '->') case $n in ''|0|*[!0-9]*) ;; *) echo "|$s $a|$n" ;; esac ;;
        esac
    done
}
lvs_opening() { grep -qs -e "$1" /proc/net/ip_vs_conn; }`;

const opening = (key: string) => `lvs_opening ${quote(connectionsTo(key, "SYN_RECV"))}`;

/** Claims upwards by rank across all plans, then releases downwards; consecutive rules join one \`ipvsadm -R\`. */
function renderParts(batch: Batch): Part[] {
    const { plans } = batch;
    const all = plans.flatMap((plan, index) => plan.steps.map((step, order) => ({ step, index, order })));
    all.sort(
        (a, b) =>
            Number(a.step.release) - Number(b.step.release) ||
            (a.step.release ? b.step.rank - a.step.rank : a.step.rank - b.step.rank) ||
            a.index - b.index ||
            a.order - b.order,
    );
    const everyone = plans.map((_, index) => index);
    const parts: Part[] = [];
    const during = mergeFiles(plans.map((plan) => plan.during));
    if (during.size > 0) {
        parts.push({ plans: everyone, steps: [], says: "write the claims", text: writeLedger(during, new Map()) });
    }
    let group: { step: Step; index: number }[] = [];
    const flush = () => {
        if (group.length === 0) return;
        const lines = group.flatMap(({ step }) => step.actions.map((action) => ruleLine(action)!));
        parts.push({
            plans: group.map(({ index }) => index),
            steps: group.map(({ step }) => step),
            says: group.map(({ step }) => step.says).join("; "),
            text: `lvs_together <<'LVS_RULES'\n${lines.join("\n")}\nLVS_RULES`,
        });
        group = [];
    };
    let drained: { step: Step; index: number }[] = [];
    const flushDrained = () => {
        if (drained.length > 0) parts.push(drainPart(drained));
        drained = [];
    };
    for (const { step, index } of all) {
        if (step.drained) {
            flush();
            drained.push({ step, index });
            continue;
        }
        flushDrained();
        if (batch.rules === "together" && step.actions.every((action) => ruleLine(action) !== undefined)) {
            group.push({ step, index });
            continue;
        }
        flush();
        parts.push({ plans: [index], steps: [step], says: step.says, text: commandLine(step.actions) });
    }
    flush();
    flushDrained();
    const owners = new Map(
        plans.flatMap((plan, index) => [...plan.afterwards.keys()].map((name) => [name, index] as const)),
    );
    const afterwards = mergeFiles(plans.map((plan) => plan.afterwards));
    const late = new Map(
        [...afterwards].filter(([name, file]) => !sameFile(file, during.get(name)) || !during.has(name)),
    );
    if (late.size > 0) {
        parts.push({ plans: everyone, steps: [], says: "write the ledger", text: writeLedger(late, owners) });
    }
    return parts;
}

/** Whether two versions of a ledger file say the same. */
export function sameFile(a: LedgerFile | undefined, b: LedgerFile | undefined): boolean {
    return a === undefined || b === undefined ? a === b : renderLedger(a) === renderLedger(b);
}

function mergeFiles(list: FileChanges[]): Map<string, LedgerFile | undefined> {
    return new Map(list.flatMap((each) => [...each]));
}

/** The line for `ipvsadm -R`, of an action that is a rule. */
function ruleLine(action: Action): string | undefined {
    if (!("run" in action) || action.run[0] !== "ipvsadm" || !/^-[AEDaed]$/.test(action.run[1] ?? "")) return undefined;
    return restoreLine(action.run.slice(1));
}

/** Real servers go to weight 0; those without active or opening connections are removed at once, the others are left to be waited for. */
function drainPart(items: { step: Step; index: number }[]): Part {
    const quiet = items.map(({ step }) =>
        restoreLine(editDestination(step.key, { ...(step.before as unknown as DestinationValue), weight: 0 })),
    );
    const cases = items.map(({ step, index }) =>
        [
            `case $busy in *${quote(`|${listingName(step.key)}|`)}*) false ;; *) ! ${opening(step.key)} ;; esac &&`,
            `gone="\${gone}${restoreLine(deleteDestination(step.key))}\n" ||`,
            `{ draining="\${draining}${index} "; echo ${index} >> "$W/draining"; }`,
        ].join(" "),
    );
    return {
        plans: items.map(({ index }) => index),
        steps: items.map(({ step }) => step),
        says: items.map(({ step }) => step.says).join("; "),
        text: `lvs_together <<'LVS_RULES' || return
${quiet.join("\n")}
LVS_RULES
busy=$(lvs_busy)
gone=
${cases.join("\n")}
[ -z "$gone" ] || lvs_together <<LVS_RULES
$gone
LVS_RULES`,
    };
}

/** A destination as `ipvsadm -Ln` names it: the service's line and its own, as `lvs_busy` joins them. */
export function listingName(key: string): string {
    const cut = key.lastIndexOf("/");
    const [kind = "", place = ""] = key.slice(0, cut).split("/");
    // It prints marks as signed numbers.
    const service =
        kind === "fwm" || kind === "fwm6"
            ? `${kind === "fwm6" ? "FWM6" : "FWM"} ${Number(place) | 0}`
            : `${kind.toUpperCase()} ${place}`;
    return `${service} ${key.slice(cut + 1)}`;
}

/** Files are written aside, synced and renamed; those of plans that are still draining are left as they are. */
function writeLedger(files: FileChanges, owners: ReadonlyMap<string, number>): string {
    const guard = (name: string, text: string) =>
        owners.has(name) ? `case $draining in *" ${owners.get(name)} "*) ;; *) ${text} ;; esac` : text;
    const written = [...files].filter(([, file]) => file !== undefined);
    const removed = [...files].filter(([, file]) => file === undefined).map(([name]) => name);
    return [
        `(umask 077`,
        `cd ${LEDGER_DIRECTORY} 2>/dev/null || { mkdir -p ${LEDGER_DIRECTORY} && cd ${LEDGER_DIRECTORY}; } || exit`,
        ...(written.length === 0
            ? []
            : [
                  `[ -d .new ] || mkdir .new || exit`,
                  // What an earlier run left there may be cut off.
                  `for f in .new/*; do [ ! -e "$f" ] || rm -f "$f" || exit; done`,
                  ...written.map(([name, file]) =>
                      guard(name, `printf '%s' ${constant(renderLedger(file!))} > .new/${name} || exit`),
                  ),
                  `set -- .new/*.claims`,
                  `if [ -e "$1" ]; then { sync "$@" 2>/dev/null || sync; } && mv -f "$@" ./ || exit; fi`,
              ]),
        ...removed.map((name) => guard(name, `rm -f -- ${quote(name)} || exit`)),
        `set -- *.claims`,
        `[ -e "$1" ] || { rm -rf .new; cd /; rmdir ${LEDGER_DIRECTORY} 2>/dev/null; }`,
        `exit 0)`,
    ].join("\n");
}

/** Waits, without the lock, until none of the destinations has active connections, at most so many seconds. */
export function renderWait(keys: string[], seconds: number): { text: string; nonce: string } {
    const nonce = randomBytes(12).toString("hex");
    const text = `lvs_main() {
trap '' PIPE
LC_ALL=C; PATH=$PATH:/usr/sbin:/sbin; export LC_ALL PATH
${busy}
n=0
while :; do
    busy=$(lvs_busy)
    left=
${keys
    .map((key) => {
        const name = quote(`|${listingName(key)}|`);
        return `    k=${name}; case $busy in *"$k"*) c=\${busy#*"$k"}; left="$left \${c%%[!0-9]*}" ;; *) ! ${opening(key)} || left="$left 1" ;; esac`;
    })
    .join("\n")}
    [ -n "$left" ] || break
    n=$((n + 1))
    [ $n -le ${Math.max(1, Math.floor(seconds))} ] || break
    sleep 1
done
printf '\\n%s left\\n%s\\n' ${nonce} "$left"
}
lvs_main
`;
    return { text, nonce };
}

/**
 * Waits until the connections that these real servers have when it runs first are over: the kernel keeps sending each
 * connection the way that it began. Which they are, and the deadline, stand in /run, so that a later attempt goes on
 * waiting; a reboot ends connections, too. Answers how many are left, and for how many more seconds.
 */
export function renderOutlast(keys: string[], seconds: number, slice: number): { text: string; nonce: string } {
    const nonce = randomBytes(12).toString("hex");
    const file = `/run/pulumi-lvs/outlast.${createHash("sha256")
        .update([...keys].sort().join())
        .digest("hex")
        .slice(0, 12)}`;
    const lines = keys
        .flatMap((key) => liveStates(key).flatMap((state) => ["-e", quote(connectionsTo(key, state))]))
        .join(" ");
    // What identifies a connection: all but its state, and the seconds that it still has.
    const cut = `sed -n ${[...new Set(keys.flatMap(liveStates))].map((state) => `-e 's/ ${state} .*//p'`).join(" ")}`;
    const text = `lvs_main() {
trap '' PIPE
LC_ALL=C; PATH=$PATH:/usr/sbin:/sbin; export LC_ALL PATH
umask 077
f=${file}
until=0
now=$(date +%s)
[ ! -r $f ] || read -r until < $f
if [ "\${until:-0}" -le "$now" ]; then
    until=$((now + ${seconds}))
    mkdir -p /run/pulumi-lvs
    { echo $until; grep ${lines} /proc/net/ip_vs_conn | ${cut}; } > $f.new && mv -f $f.new $f
fi
n=0
while :; do
    left=$(${cut} /proc/net/ip_vs_conn | grep -cFxf $f)
    now=$(date +%s)
    n=$((n + 1))
    [ "\${left:-0}" -gt 0 ] && [ "$now" -lt "$until" ] && [ $n -le ${Math.max(1, Math.floor(slice))} ] || break
    sleep 1
done
[ "\${left:-0}" -gt 0 ] && [ "$now" -lt "$until" ] || rm -f $f
printf '\\n%s left\\n%s %s\\n' ${nonce} "\${left:-0}" $((until > now ? until - now : 0))
}
lvs_main
`;
    return { text, nonce };
}

/** Reads the kernel's counters, which no decision rests on. Where the kernel has no IPVS, nothing: ipvsadm would load it. */
export function renderCounters(names: (keyof typeof counterListings)[]): { text: string; nonce: string } {
    const nonce = randomBytes(12).toString("hex");
    const text = `lvs_main() {
LC_ALL=C; PATH=$PATH:/usr/sbin:/sbin; export LC_ALL PATH
if [ -e /proc/net/ip_vs ]; then
${names.map((name) => `printf '\\n%s ${name}\\n' ${nonce}; ipvsadm ${counterListings[name].join(" ")}`).join("\n")}
fi
printf '\\n%s end\\n' ${nonce}
}
lvs_main
`;
    return { text, nonce };
}
