// A definition → the CustomResourceDefinition that is installed.
import { Document, isScalar, isSeq, visit } from 'yaml';
import { structuralSchema } from './openapi.ts';
import { category, type KindDefinition } from './v1alpha1/definition.ts';

/** The CustomResourceDefinition as plain data. */
export function manifestOf(definition: KindDefinition): Record<string, unknown> {
  const { group, version, kind, plural, singular, shortNames, scale, printerColumns } = definition;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { kind, listKind: `${kind}List`, plural, singular, shortNames, categories: [category] },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          subresources: { status: {}, ...(scale !== undefined && { scale }) },
          additionalPrinterColumns: printerColumns,
          schema: { openAPIV3Schema: structuralSchema(definition) },
        },
      ],
    },
  };
}

/** The manifest as it is committed, a line for each field; the same definition gives the same bytes. */
export function manifestText(definition: KindDefinition): string {
  const document = new Document(manifestOf(definition), { aliasDuplicateObjects: false, compat: 'yaml-1.1' });
  visit(document, {
    Map: (_, node) => {
      node.flow = node.items.every(({ value }) => isFlat(value));
    },
    Seq: (_, node) => {
      node.flow = node.items.every(isScalar);
    },
  });
  const body = document.toString({ lineWidth: 0, flowCollectionPadding: false });
  return `# Generated from crds/src/v1alpha1/${definition.singular}.ts by make generate; edits are lost.\n${body}`;
}

/** Plain values and lists of them stand on the line of their field. */
const isFlat = (node: unknown): boolean => isScalar(node) || (isSeq(node) && node.items.every(isScalar));
