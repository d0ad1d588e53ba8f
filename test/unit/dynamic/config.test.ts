/** A connection out of the stack's config: its mistakes are told as those of inputs are, and no value is shown. */
import { readConfig, resolveConnection } from "../../../provider/dynamic/config";

const withHosts = (hosts: Record<string, unknown>) =>
    readConfig((key) => (key === "lvs:hosts" ? JSON.stringify(hosts) : undefined), "organization/shop/prod");

test("an entry of lvs:hosts is a connection with its defaults, and carries its name", () => {
    expect(resolveConnection(withHosts({ lb1: { host: "192.0.2.1" } }), "lb1", "connection")).toMatchObject({
        ...{ host: "192.0.2.1", port: 22, user: "root", name: "lb1" },
    });
});

test.each([
    ["a misspelt field", { host: "a", passwort: "hunter2" }, ".passwort: is not known here; did you mean `password`?"],
    ["no host", { user: "deploy" }, ".host: is required"],
    ["a port out of range", { host: "a", port: 70000 }, ".port: expected a whole number from 1 to 65535"],
    ["a password that is a number", { host: "a", password: 123456 }, ".password: expected a text"],
    ["a mistake in the bastion", { host: "a", proxy: { host: "b", sudoo: true } }, ".proxy.sudoo: is not known here"],
    ["a text instead of a map", "root@192.0.2.1", ": expected a map"],
    ["nothing", null, ": is required"],
])("%s is told with its path", (_, entry, message) => {
    const resolve = () => resolveConnection(withHosts({ lb1: entry }), "lb1", "connection");
    expect(resolve).toThrow(`config lvs:hosts["lb1"]${message}`);
    expect(resolve).not.toThrow(/hunter2|123456|192\.0\.2\.1/);
});
