import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConfig } from "../../../provider/dynamic/config";

describe("lvs:onUnreachable and lvs:commandTimeout", () => {
    const home = process.cwd();
    let directory: string;

    const write = (stack: string, project = "name: shop\nruntime: nodejs\n") => {
        writeFileSync(join(directory, "Pulumi.yaml"), project);
        writeFileSync(join(directory, "Pulumi.prod.yaml"), stack);
    };
    const saved = new Map([["lvs:onUnreachable", "forget"]]);
    const read = (stack = "organization/shop/prod") => readConfig((key) => saved.get(key), stack).onUnreachable;

    beforeEach(() => {
        directory = mkdtempSync(join(tmpdir(), "pulumi-lvs-stack-"));
        process.chdir(directory);
    });
    afterEach(() => {
        process.chdir(home);
        rmSync(directory, { recursive: true });
    });

    test("are what the stack's file says now, not what the engine has saved", () => {
        write('config:\n  "lvs:onUnreachable": fail\n  lvs:commandTimeout: "90"\n');
        expect(read()).toBe("fail");
        expect(readConfig(() => undefined, "organization/shop/prod").commandTimeout).toBe(90);
    });

    test("are not set any more once they are taken out of it", () => {
        write("config:\n  lvs:owner: me\n");
        expect(read()).toBe("fail");
    });

    test("are what was saved where the file does not say them in clear, or the project has a default", () => {
        write("config:\n  lvs:onUnreachable:\n    secure: AAAB\n");
        expect(read()).toBe("forget");
        write("config: {}\n", "name: shop\nconfig:\n  lvs:onUnreachable:\n    default: forget\n");
        expect(read()).toBe("forget");
    });

    test("may have a comment behind them, and are not set where they are commented out", () => {
        write("config:\n  lvs:onUnreachable: fail # lb3 is back\n");
        expect(read()).toBe("fail");
        write("config:\n  # lvs:onUnreachable: forget\n  #lvs:onUnreachable: forget\n  lvs:owner: me\n");
        expect(read()).toBe("fail");
    });

    test("are what the engine says where an environment may have them", () => {
        write("environment:\n  - production\nconfig:\n  lvs:owner: me\n");
        expect(read()).toBe("forget");
    });

    test("are what the engine says where it was told another file", () => {
        write("config:\n  lvs:owner: me\n");
        // A shell by that name stands for the engine, and asks as a plugin of it does.
        const engine = join(directory, "pulumi");
        copyFileSync("/bin/sh", engine);
        const asks = `const { settingNow } = require(${JSON.stringify(join(home, "dist/provider/dynamic/stackFile.js"))});
            console.log(settingNow("organization/shop/prod", "lvs:onUnreachable") !== undefined);`;
        const says = (...words: string[]) =>
            execFileSync(engine, ["-c", '"$0" -e "$1"; exit', process.execPath, asks, ...words], { encoding: "utf8" });
        expect(says("up")).toBe("true\n");
        expect(says("up", "--config-file", "other.yaml")).toBe("false\n");
        expect(says("up", "--config-file=other.yaml")).toBe("false\n");
    });

    test("are what was saved where there is no file, or it is another project's", () => {
        expect(read()).toBe("forget");
        write("config: {}\n");
        expect(read("organization/blog/prod")).toBe("forget");
        expect(read("organization/shop/test")).toBe("forget");
        expect(read("somebody")).toBe("forget");
    });

    test("are found from the directory of the program, below the project's", () => {
        write("config:\n  lvs:onUnreachable: fail\n");
        mkdirSync(join(directory, "src"));
        process.chdir(join(directory, "src"));
        expect(read()).toBe("fail");
    });
});
