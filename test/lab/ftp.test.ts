import { promises } from "./scenario";

const CONFIG = [
    "listen=YES",
    "background=YES",
    "anonymous_enable=YES",
    "no_anon_password=YES",
    "anon_root=/srv/ftp-root",
    "secure_chroot_dir=/srv/empty",
    "pasv_enable=YES",
    "port_enable=YES",
    "connect_from_port_20=YES",
    "isolate=NO",
    "isolate_network=NO",
    "seccomp_sandbox=NO",
    "xferlog_enable=NO",
    "use_localtime=NO",
];

const serve = [
    "mkdir -p /srv/ftp-root /srv/empty",
    "hostname >/srv/ftp-root/name",
    `printf '%s\\n' ${CONFIG.join(" ")} >/srv/vsftpd.conf`,
    "vsftpd /srv/vsftpd.conf </dev/null >/dev/null 2>&1",
].join(" && ");

const get = (vip: string, ...options: string[]): string =>
    ["curl -sS -m 30", ...options, `ftp://${vip}/name`].join(" ");

const VIP = "10.77.1.100";

describe("examples/ftp", () => {
    promises(
        {
            example: "ftp",
            director: "lb1",
            shares: { ftp1: 2, ftp2: 1, ftp3: 1 },
            tolerance: 0,
            serve,
            request: (vip) => get(vip),
            resources: 5,
            weight: { edit: ["weight: 2", "weight: 3"], shares: { ftp1: 3, ftp2: 1, ftp3: 1 } },
            port: 21,
            scheduler: "wrr",
            control: {
                what: "that the director forwards",
                undo: { hosts: ["lb1"], script: "sysctl -qw net.ipv4.ip_forward=0" },
                look: { host: "client", script: `${get(VIP)} -m 4`, good: /^ftp[123]\n$/ },
            },
        },
        (running) => {
            const ways: [way: string, options: string[], says: RegExp][] = [
                ["extended passive", ["--ftp-pasv"], /^< 229 /m],
                ["passive", ["--ftp-pasv", "--disable-epsv"], /^< 227 Entering Passive Mode \(10,77,1,100,/m],
                ["active", ["--ftp-port", "-", "--disable-eprt"], /^< 200 PORT command successful/m],
            ];
            test.each(ways)("files come over %s data connections, from each real server", async (_, options, says) => {
                const once = get(VIP, "-v", ...options);
                const output = await running.lab.sh("client", Array(4).fill(`${once} 2>&1`).join(" && "));
                expect(output).toMatch(says);
                expect(output.match(/^ftp[123]$/gm)?.sort()).toEqual(["ftp1", "ftp1", "ftp2", "ftp3"]);
                expect(output.match(/^< 226 /gm)).toHaveLength(4);
            });
        },
    );
});
