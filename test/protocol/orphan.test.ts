import { ProviderProcess } from "./support/process";

test("a provider whose engine was killed ends by itself", async () => {
    const provider = await ProviderProcess.start({});
    try {
        await provider.check("RealServer", { weight: -1 });
        expect(await provider.endsAlone(10_000)).toBe(true);
    } finally {
        await provider.stop("SIGKILL");
    }
});
