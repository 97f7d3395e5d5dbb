export declare function compileKernel(): Promise<Buffer>;
export declare function embed(wasm: Buffer): string;
export declare const embeddedFile: string;
