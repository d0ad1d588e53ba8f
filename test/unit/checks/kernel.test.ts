/** The doctor's checklist, and the tables that it is made of. */
import { type Asked, type ChecklistItem, checklist, need } from "../../../provider/checks/kernel";
import { moduleRows, moduleState, moduleTrouble } from "../../../provider/checks/modules";
import { ipvsadmOptions, isBefore, kernelGates } from "../../../provider/ipvs/gates";
import { engines, schedulers } from "../../../provider/ipvs/schedulers";
import { takesValue, takesWords, vsSetting, vsSettings } from "../../../provider/ipvs/sysctls";
import { probeFunctions } from "../../../provider/reconcile/probeScript";
import { director, factsWith } from "./hosts";

type Sections = Parameters<typeof director>[0];

/** Nothing is loaded: what the host has on its disk decides. */
const cold: Sections = {
    modules: "",
    parameters: "",
    installed: "6.1.0-56-amd64\n",
    loadable: "ip_vs\nip_vs_wlc\nip_vs_mh\nipip\nfou\n",
    config: "CONFIG_MODULES=y\nCONFIG_IP_VS=m\nCONFIG_IP_VS_TAB_BITS=12\nCONFIG_IP_VS_MH=m\nCONFIG_IP_VS_NQ=m\n# CONFIG_IP_VS_TWOS is not set\n",
    ipvsadm: "v1.31 2019/12/24\nops\nsched-flags\nsctp-service\nsync-maxlen\nmh-port\ntun-type\ntun-nocsum\n",
};
const host = (changes: Sections = {}) => director({ ...cold, ...changes });
const item = (items: ChecklistItem[], start: string) => items.find((each) => each.item.startsWith(start));
const about = (start: string, changes: Sections = {}, asked: Asked[] = []) =>
    item(checklist(host(changes), asked), start);

describe("the kernel:", () => {
    test("running as installed", () => {
        expect(about("running kernel")).toEqual({ item: "running kernel", state: "ok", found: "6.1.0-56-amd64" });
    });
    test("a newer one is installed: told, by numbers and not by letters", () => {
        expect(
            about("running kernel", { installed: "6.1.0-56-amd64\n6.1.0-100-amd64\n6.1.0-9-amd64\n" }),
        ).toMatchObject({
            state: "ok",
            found: "6.1.0-56-amd64; 6.1.0-100-amd64 is installed: a reboot is pending",
        });
    });
    test("the running one's modules are gone: a reboot is the remedy", () => {
        expect(about("running kernel", { installed: "6.1.0-57-amd64\n" })).toMatchObject({
            state: "missing",
            remedy: "reboot into 6.1.0-57-amd64",
        });
    });
});

describe("a module is", () => {
    const cases: [string, string, Sections, string][] = [
        ["loaded", "ip_vs_nq", { modules: "ip_vs_nq\n" }, "loaded"],
        ["built in by modules.builtin", "ip_vs_nq", { builtin: "ip_vs_nq\n" }, "builtin"],
        ["built in by the configuration", "ip_vs_nq", { config: "CONFIG_IP_VS_NQ=y\n" }, "builtin"],
        ["loadable", "ip_vs_mh", {}, "loadable"],
        [
            "blacklisted for udev alone: loadable",
            "ip_vs_mh",
            { blacklist: "/etc/modprobe.d/a.conf:blacklist ip_vs_mh\n" },
            "loadable",
        ],
        ["switched off", "ip_vs_mh", { blacklist: "/etc/modprobe.d/a.conf:install ip_vs_mh /bin/true\n" }, "blocked"],
        [
            "not switched off by another's line",
            "ip_vs",
            { blacklist: "/etc/modprobe.d/a.conf:install ip_vs_mh /bin/true\n" },
            "loadable",
        ],
        [
            "refused by the kernel's command line",
            "ip_vs",
            { blacklist: "/proc/cmdline:module_blacklist=a,ip_vs\n" },
            "blocked",
        ],
        ["built, and its file gone", "ip_vs_nq", {}, "absent"],
        ["not built", "ip_vs_twos", {}, "unbuilt"],
        ["unheard of", "ip_vs_nq", { config: "" }, "none"],
        ["not told of", "ip_vs_nq", { config: "", loadable: "" }, "unknown"],
    ];
    test.each(cases)("%s", (_, module, changes, state) => {
        expect(moduleState(host(changes), module).state).toBe(state);
    });

    test("told with what to do", () => {
        expect(moduleTrouble(host(), "ip_vs_twos")).toEqual({
            what: "the running kernel 6.1.0-56-amd64 was built without scheduler twos (module ip_vs_twos): CONFIG_IP_VS_TWOS is not set",
            remedy: "use another scheduler, or a kernel with it",
        });
        expect(moduleTrouble(host(factsWith("release=4.19.0-27-amd64")), "ip_vs_twos")?.what).toMatch(
            /it came with kernel 5\.15$/,
        );
        expect(moduleTrouble(host({ installed: "6.1.0-57-amd64\n" }), "ip_vs_nq")?.remedy).toMatch(
            /^reboot into .*6\.1\.0-57/,
        );
        expect(moduleTrouble(host({ loadable: "", config: "# CONFIG_IP_VS is not set\n" }), "ip_vs")).toEqual({
            what: "the running kernel 6.1.0-56-amd64 was built without the kernel module ip_vs: CONFIG_IP_VS is not set",
            remedy: "use a kernel with it (Debian: linux-image-amd64)",
        });
    });
});

describe("the checklist", () => {
    test("calls IPVS alone a need: other modules may be missing", () => {
        const items = checklist(host({ loadable: "", config: "# CONFIG_IP_VS is not set\n" }));
        expect(items.filter(({ remedy }) => remedy !== undefined).map((each) => each.item)).toEqual(["IPVS"]);
    });
    test("shows the connection table as it will be, and as it is", () => {
        expect(about("connection table")?.found).toBe("2^12 = 4096 places, when loaded");
        expect(about("connection table", { parameters: "ip_vs.conn_tab_bits 16\n" })?.found).toBe(
            "2^16 = 65536 places",
        );
    });
    test("shows ipvsadm's version and what it lacks", () => {
        expect(about("program ipvsadm")?.found).toBe("version 1.31, with all that is used");
        expect(
            about("program ipvsadm", { ipvsadm: "v1.28 2015/02/09\nops\nsched-flags\nsctp-service\n" })?.found,
        ).toMatch(/^version 1\.28, without .*tunnels gue and gre \(since 1\.30\)/);
        expect(about("program ipvsadm", { ipvsadm: "" })).toMatchObject({
            state: "ok",
            found: expect.stringContaining("does not show"),
        });
        expect(about("program ipvsadm", factsWith("tool.ipvsadm="))).toMatchObject({
            state: "missing",
            remedy: "install ipvsadm",
        });
    });
    test("takes iptables for a packet filter, where there is no nft, and says what it is not good for", () => {
        const found = (...tools: string[]) => about("program nft", factsWith("tool.nft=", ...tools));
        expect(found()).toMatchObject({ state: "missing", remedy: "install nftables (or iptables)" });
        expect(found("tool.iptables=yes", "tool.ip6tables=yes")).toEqual({
            ...{ item: "program nft", state: "ok" },
            found: "not on PATH: iptables takes its place",
        });
        expect(found("tool.iptables=yes")).toMatchObject({
            state: "ok",
            found: expect.stringContaining("for IPv4 alone"),
        });
    });
    test("knows iputils' arping from the other one, which is none, and neither is asked for where there is perl", () => {
        const found = (...facts: string[]) => about("program arping", factsWith(...facts));
        expect(found()).toMatchObject({ state: "ok", found: "on PATH" });
        expect(found("arping=other")).toMatchObject({ state: "missing", remedy: "install iputils-arping, or perl" });
        expect(found("tool.arping=")).toMatchObject({ state: "missing" });
        expect(found("tool.arping=", "tool.perl=yes")).toMatchObject({ state: "ok" });
    });
    test("tells an old kernel by its age", () => {
        expect(about("IPVS with tunnel gre", factsWith("release=5.2.0"))?.state).toBe("missing");
        expect(about("IPVS with tunnel gue", factsWith("release=5.2.0"))?.state).toBe("ok");
    });
    test("holds what a ledger asks for against the kernel", () => {
        const asks = (kind: string, key: string, value: string | true): Asked[] => [{ owner: "o", kind, key, value }];
        expect(about("asked", {}, asks("module", "ip_vs_nq", true))).toMatchObject({
            state: "missing",
            remedy: expect.anything(),
        });
        expect(about("asked", {}, asks("module", "ip_vs_mh", true))).toBeUndefined();
        const loaded = { parameters: "ip_vs.conn_tab_bits 12\n", sysctl: "net/ipv4/vs/drop_entry:0\n" };
        expect(about("asked", loaded, asks("parameter", "ip_vs.conn_tab_bits", "16"))?.found).toBe(
            "2^16 places; ip_vs runs with 2^12",
        );
        expect(about("asked", loaded, asks("parameter", "ip_vs.conn_tab_bits", "12"))).toBeUndefined();
        expect(about("asked", loaded, asks("sysctl", "net.ipv4.vs.est_nice", "0"))?.remedy).toMatch(/6\.2/);
        expect(about("asked", loaded, asks("sysctl", "net.ipv4.vs.drop_entry", "1"))).toBeUndefined();
    });
});

test.each([
    ["mh", {}, "ok"],
    ["nq", {}, "missing"],
    ["twos", {}, "missing"],
    ["gue", {}, "ok"],
    ["gue", factsWith("release=5.1.0"), "missing"],
    ["gue", { ipvsadm: "v1.28 2015/02/09\nops\n" }, "missing"],
    ["net.ipv4.vs.est_nice", {}, "missing"],
    ["net.ipv4.vs.conntrack", {}, "ok"],
    ["net.ipv4.vs.conntrack", { sysctl: "" }, "unknown"],
    ["net.ipv4.vs.bogus", {}, "unknown"],
    ["ip_vs", {}, "ok"],
] as [string, Sections, string][])("--needs %s (case %#) says %s", (name, changes, state) => {
    const found = need(host(changes), name);
    expect(found.state).toBe(state);
    expect(found.remedy === undefined).toBe(state !== "missing");
});

describe("the tables of versions and modules", () => {
    test("name only modules that the probe looks for", () => {
        const looked = new RegExp(`^(${/'\(\^\|\/\)\(([^']*)\)\\.ko/.exec(probeFunctions)?.[1]})$`);
        const named = [...moduleRows, ...schedulers, ...engines].map(({ module }) => module);
        expect(named.filter((module) => !looked.test(module))).toEqual([]);
    });
    test("are looked for inside ipvsadm, all of them", () => {
        for (const { option } of ipvsadmOptions) expect(probeFunctions).toContain(option);
    });
    test("compare versions by number", () => {
        expect(["5.2", "5.10.0-1", "6.1.0", "5.1.99"].map((release) => isBefore(release, "5.2"))).toEqual([
            false,
            false,
            false,
            true,
        ]);
        expect(isBefore("unknown", "5.2")).toBe(false);
        expect(kernelGates.every(({ since }) => /^\d+\.\d+$/.test(since))).toBe(true);
    });
});

describe("net.ipv4.vs.*", () => {
    test.each(vsSettings.map((setting) => [setting.name, setting] as const))(
        "%s takes its default",
        (_, { takes, default: start }) => {
            expect(takesWords(takes)).not.toBe("");
            if (start !== undefined) expect(takesValue(takes, start)).toBe(true);
            for (const text of ["x", "1;", "0x1", "1.5"]) expect(takesValue(takes, text)).toBe(false);
        },
    );
    test.each([
        ["sync_threshold", ["0 1", "3\t50", "3 0"], ["50 3", "3", "-1 5", "3 50 7", "3 3"]],
        ["sync_ports", ["1", "64"], ["0", "3", "-1"]],
        ["est_nice", ["-20", "19"], ["-21", "20"]],
        ["est_cpulist", ["0-3,8", "0", ""], ["a", "0-"]],
        ["conntrack", ["0", "1"], ["2", "-1", "1 2"]],
    ])("%s takes %j and not %j", (name, good, bad) => {
        const { takes } = vsSetting(`net.ipv4.vs.${name}`)!;
        expect(good.filter((text) => !takesValue(takes, text))).toEqual([]);
        expect(bad.filter((text) => takesValue(takes, text))).toEqual([]);
    });
});
