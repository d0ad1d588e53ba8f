/**
 * A host without a machine: the real scripts under a real shell, their absolute paths moved below a scratch directory,
 * with small programs in place of ipvsadm, ip, modprobe, nft, systemctl and arping that keep what they are told in files.
 */
import { spawn, spawnSync } from "node:child_process";
import {
    chmodSync,
    existsSync,
    mkdirSync,
    mkdtempSync,
    readdirSync,
    readFileSync,
    rmSync,
    writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Batch, renderScript, type Script } from "../../../provider/reconcile/script";
import { type HostState, parseSections, parseState } from "../../../provider/reconcile/state";

/** The shells that hosts have, as far as this machine has them; `sh` is always there. */
export const shells: Record<string, string[]> = Object.fromEntries(
    Object.entries({ dash: ["dash"], bash: ["bash"], busybox: ["busybox", "sh"] }).filter(
        ([, [program]]) => spawnSync("sh", ["-c", `command -v ${program}`]).status === 0,
    ),
);
if (Object.keys(shells).length === 0) shells["sh"] = ["sh"];

/** Absolute paths of a host that a script may touch; everything else is the machine's own programs. */
const MOVED = /(?<![A-Za-z0-9_.$}*/)-])\/(proc|sys|run|var|etc|lib|boot|usr\/lib\/sysctl\.d)(?=\/)/g;

export interface Ran {
    status: number | null;
    signal: NodeJS.Signals | null;
    stdout: string;
    stderr: string;
}

/** Takes away what test runs that were killed have left. */
export function sweep(): void {
    for (const name of readdirSync(tmpdir())) {
        const pid = /^lvs-host-(\d+)-/.exec(name)?.[1];
        if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(tmpdir(), name), { recursive: true, force: true });
    }
}

function isAlive(pid: number): boolean {
    try {
        return process.kill(pid, 0);
    } catch (error) {
        return (error as NodeJS.ErrnoException).code !== "ESRCH";
    }
}

/** Every host that a test has made goes with the test, whatever became of either. */
const made = new Set<Sandbox>();
beforeAll(sweep);
afterEach(() => {
    for (const each of made) each.remove();
});

export class Sandbox {
    readonly root = mkdtempSync(join(tmpdir(), `lvs-host-${process.pid}-`));
    constructor(readonly shell: string[] = Object.values(shells)[0]!) {
        made.add(this);
        for (const directory of [
            "bin",
            "state",
            "run",
            "var/lib",
            "proc/net",
            "proc/sys",
            "sys/module",
            "sys/class/net",
            "etc/systemd/system",
        ]) {
            mkdirSync(join(this.root, directory), { recursive: true });
        }
        for (const [name, text] of Object.entries(programs)) this.program(name, text);
        const sh = join(this.root, "bin/sh");
        writeFileSync(sh, `#!/bin/sh\nexec ${shell.join(" ")} "$@"\n`);
        chmodSync(sh, 0o755);
        this.write("etc/machine-id", "m1\n");
        this.write("sys/class/dmi/id/product_uuid", "u1\n");
        this.write("proc/modules", "");
        this.write("state/table", "");
        this.write(
            "state/address",
            "1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever\n",
        );
        this.setting("net/ipv4/ip_forward", "0");
        for (const device of ["all", "default", "lo", "eth0"]) {
            for (const name of ["accept_redirects", "rp_filter", "arp_ignore", "arp_announce"]) {
                this.setting(`net/ipv4/conf/${device}/${name}`, "0");
            }
            // As they are once the switch is on: here is no kernel that moves them with it.
            this.setting(`net/ipv4/conf/${device}/forwarding`, "1");
        }
    }

    /** A host whose kernel has IPVS already. */
    withIpvs(): this {
        this.run("modprobe ip_vs");
        return this;
    }

    program(name: string, text: string): void {
        const path = join(this.root, "bin", name);
        writeFileSync(path, `#!/bin/sh\nR=${this.root}\necho "${name} $*" >> $R/state/log\n${text}\n`);
        chmodSync(path, 0o755);
    }
    without(name: string): void {
        rmSync(join(this.root, "bin", name));
    }
    setting(path: string, value: string): void {
        this.write(`proc/sys/${path}`, `${value}\n`);
    }
    write(path: string, text: string): void {
        mkdirSync(dirname(join(this.root, path)), { recursive: true });
        writeFileSync(join(this.root, path), text);
    }
    read(path: string): string {
        return existsSync(join(this.root, path)) ? readFileSync(join(this.root, path), "utf8") : "";
    }
    list(path: string): string[] {
        return existsSync(join(this.root, path)) ? readdirSync(join(this.root, path)).sort() : [];
    }
    get ledger(): string[] {
        return this.list("var/lib/pulumi-lvs").filter((name) => name.endsWith(".claims"));
    }
    /** The programs that ran so far, and forgets them. */
    log(): string[] {
        const lines = this.read("state/log")
            .split("\n")
            .filter((line) => line !== "");
        this.write("state/log", "");
        return lines;
    }
    /** What the kernel and the files are, as text: for comparing before and after. */
    picture(): string {
        const sums = spawnSync(
            "sh",
            ["-c", "find proc sys var etc state -type f ! -name log -exec cksum {} + | sort -k3"],
            {
                cwd: this.root,
                encoding: "utf8",
            },
        );
        return sums.stdout;
    }

    moved(text: string): string {
        return text.replace(MOVED, `${this.root}/$1`);
    }

    run(text: string): Ran {
        const { status, signal, stdout, stderr } = spawnSync(this.shell[0]!, this.shell.slice(1), {
            input: this.moved(text),
            encoding: "utf8",
            env: this.environment(),
            cwd: this.root,
        });
        return { status, signal, stdout: this.unmoved(stdout), stderr: this.unmoved(stderr) };
    }

    start(text: string): Promise<Ran> {
        return new Promise((resolve) => {
            const child = spawn(this.shell[0]!, this.shell.slice(1), { env: this.environment(), cwd: this.root });
            let stdout = "";
            let stderr = "";
            child.stdout.on("data", (chunk) => (stdout += chunk));
            child.stderr.on("data", (chunk) => (stderr += chunk));
            child.on("close", (status, signal) =>
                resolve({ status, signal, stdout: this.unmoved(stdout), stderr: this.unmoved(stderr) }),
            );
            child.stdin.end(this.moved(text));
        });
    }

    /** Runs a batch as a host's queue does, and reads what came back. */
    batch(
        batch: Partial<Batch>,
        known?: HostState,
    ): { script: Script; sections: Record<string, string>; state: HostState; ran: Ran } {
        const script = renderScript({
            expect: undefined,
            plans: [],
            rules: "each",
            timeout: 20,
            settings: [],
            ...batch,
        });
        const ran = this.run(script.text);
        const sections = parseSections(ran.stdout, script.nonce);
        const sum = (sections["run.outcome"] ?? "").trim().split(" ").slice(1).join(" ");
        const probed = Object.fromEntries(Object.entries(sections).filter(([name]) => !name.startsWith("run.")));
        return { script, sections, ran, state: parseState(probed, sum, known) };
    }

    probe(): HostState {
        return this.batch({ inform: true }).state;
    }

    remove(): void {
        made.delete(this);
        rmSync(this.root, { recursive: true, force: true });
    }

    private unmoved(text: string): string {
        return text.replaceAll(this.root, "");
    }
    private environment(): NodeJS.ProcessEnv {
        return { PATH: `${this.root}/bin:/usr/bin:/bin` };
    }
}

/** Each keeps what it is told below $R/state, and fails where $R/state/fail names a word of its command line. */
const failing = `
if [ -s $R/state/fail ]; then
    case "$* " in *"$(cat $R/state/fail) "*) echo "refused by order" >&2; exit 255 ;; esac
fi
`;
const programs: Record<string, string> = {
    modprobe: `${failing}
mkdir -p $R/sys/module/$1
echo "$1 1 0 - Live 0x0" >> $R/proc/modules
if [ "$1" = ip_vs ]; then
    : > $R/proc/net/ip_vs
    mkdir -p $R/proc/sys/net/ipv4/vs $R/sys/module/ip_vs/parameters
    echo 0 > $R/proc/sys/net/ipv4/vs/conntrack
    echo 12 > $R/sys/module/ip_vs/parameters/conn_tab_bits
    [ -e $R/state/timeouts ] || echo "900 120 300" > $R/state/timeouts
fi`,
    ip: `${failing}
exec 8> $R/ip.lock; flock 8
case "$*" in
"-o addr show") cat $R/state/address ;;
"-br addr show") cut -d\\\\ -f1 $R/state/address ;;
"-o addr show dev "*|"-o -6 addr show dev "*)
    while [ "$1" != dev ]; do shift; done
    grep " $2 .*inet6* $4/" $R/state/address || : ;;
"-o link show up") for d in lo eth0; do case " $(cat $R/state/down 2>/dev/null) " in *" $d "*) ;; *) echo "2: $d@if3: <UP>" ;; esac; done ;;
"-o link show dev "*) case " $(cat $R/state/down 2>/dev/null) " in *" $5 "*) ;; *) echo "2: $5: <UP>" ;; esac ;;
"addr change "*) ;;
"-6 neigh show dev "*) echo "fe80::1 lladdr 02:00:00:00:00:01 router STALE"; echo "2001:db8::9 FAILED" ;;
"-4 route show proto 147") cat $R/state/hops 2>/dev/null ;;
"-4 -o route get "*) echo "$5 dev eth0 src 10.0.0.9 uid 0" ;;
"-4 route add "*" onlink proto 147") echo "$4 via $6 dev $8 onlink " >> $R/state/hops ;;
"-4 route del "*" proto 147") grep -q "^$4 via $6 " $R/state/hops || exit 2; sed -i "/^$4 /d" $R/state/hops ;;
"route show") cat $R/state/route $R/state/networks 2>/dev/null ;;
"-4 -o route show default") cat $R/state/route 2>/dev/null ;;
"-6 -o route show default") cat $R/state/route6 2>/dev/null ;;
"-4 route replace default via "*) shift 3; case " $* " in *" dev "*) ;; *) v=$3; shift 3; set -- default via $v dev eth0 "$@" ;; esac; echo "$* " > $R/state/route ;;
"-4 route del default via "*) shift 3; [ "$(cat $R/state/route)" = "$* " ] || exit 2; rm $R/state/route ;;
"addr add "*)
    grep -q " $5 .*inet6* $3 " $R/state/address && { echo "RTNETLINK answers: File exists" >&2; exit 2; }
    case $3 in *:*) f=inet6 ;; *) f=inet ;; esac
    case "$*" in *"preferred_lft 0"*) d=" deprecated" ;; *) d= ;; esac
    case "$(cat $R/state/elsewhere 2>/dev/null)$*" in *nodad*) ;; "$3"*) d=" dadfailed tentative$d" ;; esac
    echo "2: $5    $f $3 scope global$d $5\\\\       valid_lft forever preferred_lft forever" >> $R/state/address ;;
"addr del "*)
    grep -v " $5 .*inet6* $3 " $R/state/address > $R/state/address.new
    mv $R/state/address.new $R/state/address ;;
"link add "*) mkdir -p $R/sys/class/net/$3; echo "9: $3@NONE: <NOARP> mtu 1480\\\\    link/$5\\\\    $5 remote any local $7 ttl inherit" > $R/state/link.$3 ;;
"link set "*) sed 's/<NOARP>/<NOARP,UP,LOWER_UP>/' $R/state/link.$3 > $R/state/link.new; mv $R/state/link.new $R/state/link.$3 ;;
"link del "*) rm -r $R/sys/class/net/$3 $R/state/link.$3 ;;
"-d -o link show dev "*) cat $R/state/link.$6 ;;
esac`,
    arping: 'case $1 in -V) echo "arping from iputils 20221126" ;; esac',
    ping: "exit 0",
    perl: "cat > /dev/null",
    systemctl: `${failing}
case "$*" in
*enable*) mkdir -p $R/etc/systemd/system/multi-user.target.wants; ln -sf ../pulumi-lvs.service $R/etc/systemd/system/multi-user.target.wants/ ;;
*disable*) rm -f $R/etc/systemd/system/multi-user.target.wants/pulumi-lvs.service ;;
esac`,
    // Sums of our own files as they are where nothing was moved.
    cksum: `
if [ $# = 0 ]; then sed "s|$R||g" | /usr/bin/cksum; exit; fi
for f; do
    [ -e "$f" ] || continue
    echo "$(sed "s|$R||g" "$f" | /usr/bin/cksum) $f"
done`,
    ipvsadm: `${failing}
T=$R/state/table; [ -e $T ] || : > $T
one() {
    awk -v table=$T -v line="$*" -v out=$T.new '
    function stop(text) { print text > "/dev/stderr"; failed = 255; exit }
    BEGIN {
        n = split(line, w, " "); command = w[1]; i = 2
        if (w[i] == "-f") { service = "-f " w[i + 1]; i += 2; if (w[i] == "-6") { service = service " -6"; i++ } }
        else { service = w[i] " " w[i + 1]; i += 2 }
        x = 0; y = 0
        for (; i <= n; i++) {
            if (w[i] == "-r") server = w[++i]
            else if (w[i] == "-x") x = w[++i]
            else if (w[i] == "-y") y = w[++i]
            else rest = rest " " w[i]
        }
        while ((getline l < table) > 0) rows[++count] = l
        key = command ~ /^-[AED]$/ ? "S\\t" service "\\t" : "D\\t" service "\\t" server "\\t"
        for (r = 1; r <= count; r++) {
            if (index(rows[r], "S\\t" service "\\t") == 1) defined = 1
            if (index(rows[r], key) == 1) at = r
        }
        if (command ~ /^-[aed]$/ && !defined) stop("Service not defined")
        if (command ~ /^-[Aa]$/ && at) stop(command == "-A" ? "Service already exists" : "Destination already exists")
        if (command ~ /^-[EDed]$/ && !at) stop(command ~ /[ED]/ ? "No such service" : "No such destination")
        printf "" > out
        for (r = 1; r <= count; r++) {
            if (command == "-D" && (r == at || index(rows[r], "D\\t" service "\\t") == 1)) continue
            if (command == "-d" && r == at) continue
            print (r == at ? key rest "\\t" x "\\t" y : rows[r]) > out
        }
        if (!at) print key rest "\\t" x "\\t" y > out
    }
    END { exit failed }' </dev/null && mv $T.new $T
}
names() { awk -F '\\t' -v mode="$1" -v active=$R/state/active '
    BEGIN { while ((getline l < active) > 0) { split(l, p, " "); busy[p[1]] = p[2] }
        print "IP Virtual Server version 1.2.1 (size=4096)"; print "Prot LocalAddress:Port Scheduler Flags"; print "  -> RemoteAddress:Port" }
    $1 == "S" { split($2, p, " "); split($3, a, " "); order[++n] = $2
        if (p[1] == "-f") name = "FWM  " sprintf("%d", p[2] > 2147483647 ? p[2] - 4294967296 : p[2]) (p[3] == "-6" ? " IPv6" : "")
        else name = (p[1] == "-t" ? "TCP" : p[1] == "-u" ? "UDP" : "SCTP") "  " p[2]
        head[$2] = name " " a[2] }
    $1 == "D" { split($4, a, " "); c = busy[$3] + 0
        row = mode == "thresholds" ? sprintf("  -> %-28s %-10s %-10s %-10s %-10s", $3, $5, $6, c, 0) : sprintf("  -> %-28s %-7s %-6s %-10s %-10s", $3, "Route", a[3], c, 0)
        tail[$2] = tail[$2] row "\\n" }
    END { for (i = 1; i <= n; i++) { print head[order[i]]; printf "%s", tail[order[i]] } }' $T; }
case "$*" in
-Sn) awk -F '\\t' '$1 == "S" { order[++n] = $2; head[$2] = "-A " $2 $3 }
    $1 == "D" { sub(/^ /, "", $4); tail[$2] = tail[$2] "-a " $2 " -r " $3 " " $4 "\\n" }
    END { for (i = 1; i <= n; i++) { print head[order[i]]; printf "%s", tail[order[i]] } }' $T ;;
"-Ln --thresholds") names thresholds ;;
-Ln) names ;;
"-L --timeout") echo "Timeout (tcp tcpfin udp): $(cat $R/state/timeouts)" ;;
"-L --daemon") : ;;
"--set "*) read a b c < $R/state/timeouts
    [ $2 = 0 ] || a=$2; [ $3 = 0 ] || b=$3; [ $4 = 0 ] || c=$4
    echo "$a $b $c" > $R/state/timeouts ;;
-R) s=0
    while read -r l; do
        [ -n "$l" ] || continue
        if [ -s $R/state/fail ]; then case "$l " in *"$(cat $R/state/fail) "*) echo "refused by order" >&2; s=255; continue ;; esac; fi
        one $l; s=$?
    done; exit $s ;;
*) one "$@" ;;
esac`,
};
