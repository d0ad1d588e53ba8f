/**
 * What the engine's state keeps of an operation that broke off, over real scripts: what may be on a host is in the state,
 * and the next `up` or `destroy` goes on from it. Only SSH is left out.
 */
import { type Handler, handlerOf } from "../../../provider/dynamic/handler";
import { realServer } from "../../../provider/resources/realServer";
import { virtualService } from "../../../provider/resources/virtualService";
import { ConnectionError } from "../../../provider/ssh/errors";
import { Sandbox } from "../reconcile/sandbox";

type Properties = Record<string, unknown>;
/** How the dynamic provider's process tells the engine that a resource is there and not as it should be. */
interface Kept extends Error {
    id?: string;
    properties?: Properties;
    reasons?: string[];
}

const sandboxes = new Map<string, Sandbox>();
/** Hosts that answer no more, or that still run one script with changes and then answer no more. */
const dying = new Map<string, "now" | "after its work">();

jest.mock("../../../provider/ssh/session", () => ({
    runScript: async ({ host }: { host: string }, script: string) => {
        const failure = (kind: "lost" | "unreachable", sent: boolean) =>
            new ConnectionError({ kind, host, doing: "running a script", reason: "gone", remedy: "Look.", sent });
        if (dying.get(host) === "now") throw failure("unreachable", false);
        const answer = await sandboxes.get(host)!.start(script);
        if (dying.get(host) === "after its work" && /lvs_0\(\)/.test(script)) {
            dying.set(host, "now");
            throw failure("lost", true);
        }
        return answer;
    },
}));
jest.mock("../../../provider/dynamic/voice", () => ({
    ...jest.requireActual("../../../provider/dynamic/voice"),
    say: (line: string) => said.push(line),
}));

let said: string[] = [];
let counter = 0;
/** Names of their own: queues outlive a test. */
let dir: string;
let web1: string;
let config: Record<string, string>;

const configured = (handler: Handler): Handler => {
    handler.configure({ config: { get: (key) => config[key] } });
    return handler;
};
const services = () => configured(handlerOf(virtualService));
const servers = () => configured(handlerOf(realServer));
const failureOf = async (work: Promise<unknown>): Promise<Kept> => {
    try {
        await work;
    } catch (error) {
        return error as Kept;
    }
    throw new Error("it did not fail");
};
const checked = async (handler: Handler, given: Properties): Promise<Properties> => {
    const { inputs, failures } = await handler.check({}, given);
    expect(failures).toEqual([]);
    return { ...inputs, __provider: "p" };
};
const service = (more: Properties = {}) => ({
    ...{ director: { name: "lb1", connection: "lb1" }, protocol: "tcp", address: "192.0.2.100", port: 80 },
    ...{ vip: { external: true }, owner: "org/shop/prod#VirtualService/web", ...more },
});
const server = (more: Properties = {}) => ({
    ...{ service: service(), address: "192.0.2.21", connection: "web1" },
    ...{ sysctls: { "net.ipv4.conf.eth0.rp_filter": "1" }, owner: "org/shop/prod#RealServer/web1", ...more },
});
const address = (host: string, device: string, held: string) => {
    const line = `2: ${device}    inet ${held} scope global ${device}\\       valid_lft forever preferred_lft forever\n`;
    sandboxes.get(host)!.write("state/address", sandboxes.get(host)!.read("state/address") + line);
};
const table = () => sandboxes.get(dir)!.read("state/table");
const setting = () => sandboxes.get(web1)!.read("proc/sys/net/ipv4/conf/eth0/rp_filter").trim();

beforeEach(() => {
    counter++;
    said = [];
    dying.clear();
    [dir, web1] = [`dir-${counter}`, `web1-${counter}`];
    sandboxes.set(dir, new Sandbox().withIpvs());
    sandboxes.get(dir)!.run("modprobe ip_vs_wlc; modprobe ip_vs_rr");
    sandboxes.set(web1, new Sandbox());
    address(web1, "eth0", "192.0.2.21/24");
    config = { "lvs:hosts": JSON.stringify({ lb1: { host: dir }, web1: { host: web1 } }) };
});

test("a create whose answer was lost for good is kept, says all that a person needs, and is gone on from", async () => {
    const before = sandboxes.get(dir)!.picture();
    const inputs = await checked(services(), service());
    dying.set(dir, "after its work");
    const { message, ...kept } = await failureOf(services().create(inputs));
    expect(message).toMatch(
        /gone.*Whether it was done is not known.*Left on lb1.*service tcp\/192\.0\.2\.100:80.*run it again.*unfinished/s,
    );
    expect(kept).toMatchObject({
        id: "lb1/tcp/192.0.2.100:80",
        properties: { address: "192.0.2.100", unfinished: "create", token: expect.any(String), __provider: "p" },
        reasons: [message],
    });
    dying.clear();
    const { outs } = await services().update(kept.id!, kept.properties!, inputs);
    expect(outs).not.toHaveProperty("unfinished");
    expect(table()).toMatch(/-s wlc/);
    await services().delete(kept.id!, outs);
    expect(sandboxes.get(dir)!.picture()).toBe(before);
});

test("a create that was kept is given back by a destroy, which takes nothing that others have", async () => {
    const own = sandboxes.get(web1)!;
    address(web1, "lo", "192.0.2.100/32");
    await services().create(await checked(services(), service()));
    const before = [sandboxes.get(dir)!.picture(), own.picture()];
    dying.set(dir, "after its work");
    const kept = await failureOf(servers().create(await checked(servers(), server())));
    expect(kept.message).toMatch(/On web1.* it was taken back/);
    expect([sandboxes.get(dir)!.picture() === before[0], own.picture()]).toEqual([false, before[1]]);
    dying.clear();
    await servers().delete(kept.id!, kept.properties!);
    expect([sandboxes.get(dir)!.picture(), own.picture()]).toEqual(before);
});

test("what a create found on a host where it was taken back is still known when it is gone on from", async () => {
    await services().create(await checked(services(), service()));
    const inputs = await checked(servers(), server());
    dying.set(dir, "after its work");
    const kept = await failureOf(servers().create(inputs));
    dying.clear();
    const read = await servers().read(kept.id!, kept.properties!);
    expect(read.props).toMatchObject({ unfinished: "create", drift: { "sysctl net.ipv4.conf.eth0.rp_filter": "0" } });
    const { outs } = await servers().update(kept.id!, read.props!, inputs);
    expect(setting()).toBe("1");
    await servers().delete(kept.id!, outs);
    expect(setting()).toBe("0");
    expect(said.join()).not.toContain("is not known");
});

test("an update whose answer was lost for good is kept with what was declared before, and reverted by the next one", async () => {
    const [wlc, rr] = [await checked(services(), service()), await checked(services(), service({ scheduler: "rr" }))];
    const { id, outs } = await services().create(wlc);
    dying.set(dir, "after its work");
    const kept = await failureOf(services().update(id, outs, rr));
    expect(kept.message).toMatch(/Whether it was done is not known.*Left on lb1.*unfinished/s);
    expect(kept).toMatchObject({ id, properties: { unfinished: "update", token: outs["token"] } });
    expect(kept.properties).not.toMatchObject({ scheduler: "rr" });
    expect(table()).toMatch(/-s rr/);
    dying.clear();
    // The engine asks for an update of what was kept; and after a refresh the difference does.
    expect((await services().diff(id, kept.properties!, wlc)).changes).toBe(true);
    const read = await services().read(id, kept.properties!);
    expect(read.inputs).toMatchObject({ scheduler: "rr" });
    const again = await services().update(id, kept.properties!, wlc);
    expect(table()).toMatch(/-s wlc/);
    expect((await services().diff(id, again.outs, wlc)).changes).toBe(false);
});

test("an operation that cannot be taken back on the host where it failed is kept", async () => {
    const [wlc, rr] = [await checked(services(), service()), await checked(services(), service({ scheduler: "rr" }))];
    const broken = (pattern: string) => {
        const path = "bin/ipvsadm";
        const whole = sandboxes.get(dir)!.read(path);
        sandboxes
            .get(dir)!
            .write(
                path,
                whole.replace("\n", `\ncase "$*" in ${pattern}) echo "refused by order" >&2; exit 255 ;; esac\n`),
            );
        return () => sandboxes.get(dir)!.write(path, whole);
    };
    const mend = broken("-R|-[Aa]*");
    sandboxes.get(dir)!.program("rm", 'case "$*" in *.claims*) exit 1 ;; esac; exec /bin/rm "$@"');
    const kept = await failureOf(services().create(wlc));
    mend();
    sandboxes.get(dir)!.without("rm");
    expect(kept.message).toMatch(/refused by order.*Taking it back failed too.*Left on lb1/s);
    expect(kept.properties).toMatchObject({ unfinished: "create" });
    const { outs } = await services().update(kept.id!, kept.properties!, wlc);
    expect(table()).toMatch(/-s wlc/);
    expect((await services().update(kept.id!, outs, rr)).outs).toMatchObject({ scheduler: "rr" });
});

test("an operation that was taken back is not kept", async () => {
    const inputs = await checked(services(), service());
    const before = sandboxes.get(dir)!.picture();
    sandboxes.get(dir)!.write("state/fail", "192.0.2.100:80");
    const error = await failureOf(services().create(inputs));
    sandboxes.get(dir)!.run("rm -f state/fail");
    expect(error.message).toMatch(/compensated/);
    expect(error).not.toHaveProperty("id");
    expect(sandboxes.get(dir)!.picture()).toBe(before);
});

test("a connection that the new inputs do not have is not kept where it would stand in clear", async () => {
    const inline = { name: "lb1", connection: { host: dir, password: "secret" } };
    const { id, outs } = await services().create(await checked(services(), service({ director: inline })));
    const named = await checked(services(), service({ scheduler: "rr" }));
    dying.set(dir, "after its work");
    expect(await failureOf(services().update(id, outs, named))).not.toHaveProperty("properties");
});

describe("an update of a real server whose own host is dead", () => {
    const made = async () => {
        await services().create(await checked(services(), service()));
        const { id, outs } = await servers().create(await checked(servers(), server()));
        dying.set(web1, "now");
        const heavier = { weight: 5, sysctls: { "net.ipv4.conf.eth0.rp_filter": "2" } };
        return { id, outs, heavier: await checked(servers(), server(heavier)) };
    };

    test("is done on the director under forget, says what was not done, and is done in full once the host is back", async () => {
        const { id, outs, heavier } = await made();
        config["lvs:onUnreachable"] = "forget";
        const updated = await servers().update(id, outs, heavier);
        expect(table()).toMatch(/192\.0\.2\.21:80.* -w 5/);
        expect(said.join()).toMatch(/web1.*passed over.*Not done there: .*address 192\.0\.2\.100.*rp_filter/s);
        expect(updated.outs["drift"]).toEqual({ [`web1 (root@${web1}:22)`]: "not reached" });
        expect((await servers().diff(id, updated.outs, heavier)).changes).toBe(true);
        dying.clear();
        const again = await servers().update(id, updated.outs, heavier);
        expect([setting(), again.outs["drift"]]).toEqual(["2", undefined]);
        expect((await servers().diff(id, again.outs, heavier)).changes).toBe(false);
    });

    test("fails otherwise, and the error tells of forget", async () => {
        const { id, outs, heavier } = await made();
        const { message } = await failureOf(servers().update(id, outs, heavier));
        expect(message).toMatch(/lvs:onUnreachable set to forget/);
        expect(table()).toMatch(/192\.0\.2\.21:80.* -w 1/);
    });

    test("fails under forget where it is the director that is dead, or a host that it never had", async () => {
        const { id, outs, heavier } = await made();
        config["lvs:onUnreachable"] = "forget";
        config["lvs:hosts"] = JSON.stringify({
            lb1: { host: dir },
            web1: { host: web1 },
            web2: { host: `no-${web1}` },
        });
        dying.set(`no-${web1}`, "now");
        const moved = { ...heavier, connection: "web2" };
        await expect(servers().update(id, outs, moved)).rejects.toThrow(/gone/);
        dying.clear();
        dying.set(dir, "now");
        // By another port it is a host that this process has not looked at yet.
        config["lvs:hosts"] = JSON.stringify({ lb1: { host: dir, port: 23 }, web1: { host: web1 } });
        await expect(servers().update(id, outs, heavier)).rejects.toThrow(/gone/);
        expect(said.join()).not.toMatch(/passed over/);
    });
});
