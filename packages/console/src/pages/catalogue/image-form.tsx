/** A new image of the catalogue, which is looked into right after; or a change of one. */
import type { Image, UpdateImage } from '@berth/contract';
import { pathOf, routes } from '@berth/contract/paths';
import { resourceBounds } from '@berth/contract/vocabulary';
import { Input, NumberInput, TextInput, Textarea } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { addImage, checkImage, updateImage } from '../../api/catalogue-changes.ts';
import { commandLine } from '../../components/command-hint.tsx';
import { FormDialog, errorAt } from '../../components/form-dialog.tsx';
import classes from './catalogue.module.css';
import { CustomersField, customerOptions } from './customers-field.tsx';

const amounts = ['cpu', 'memory', 'gpu', 'storage'] as const;

interface Props {
  /** Left out: a new one. */
  image?: Image;
  close: () => void;
  done: (name: string) => void;
}

export function ImageForm({ image, close, done }: Props) {
  const { t } = useTranslation();
  const queryClient = useQueryClient();
  const [name, setName] = useState('');
  const [reference, setReference] = useState(image?.reference ?? '');
  const [description, setDescription] = useState(image?.description ?? '');
  const [resources, setResources] = useState(image?.default_resources ?? {});
  const [customers, setCustomers] = useState(image?.customers ?? null);
  // The reference of the image that belongs to this Berth is the server's to set, so it is not sent unless it changes.
  const body: UpdateImage = {
    ...(image?.reference === reference.trim() ? {} : { reference: reference.trim() }),
    description: description.trim(),
    default_resources: resources,
    customers,
  };
  const added = { name: name.trim(), ...body, reference: reference.trim() };
  const reload = () => queryClient.invalidateQueries({ queryKey: [routes.images] });
  const save = useMutation({
    mutationFn: () => (image ? updateImage(image.name, body) : addImage(added)),
    onSuccess: async ({ name: saved }) => {
      await reload();
      close();
      done(saved);
      // Nobody waits for it: what it finds stands at the image.
      if (!image) void checkImage(saved).then(reload, reload);
    },
  });
  const options = [
    ...(description.trim() === '' ? [] : ['--description', description.trim()]),
    ...amounts.flatMap((each) =>
      resources[each] === undefined ? [] : [`--${each}`, String(resources[each])],
    ),
    ...customerOptions(customers),
  ];
  return (
    <FormDialog
      title={image ? t('catalogue.changeOf', { name: image.name }) : t('catalogue.addImage')}
      close={close}
      action={image ? t('catalogue.save') : t('catalogue.addImage')}
      submit={() => save.mutate()}
      pending={save.isPending}
      disabled={reference.trim() === '' || (!image && added.name === '')}
      error={save.error}
      fields={['name', 'reference', 'description', 'customers']}
      equivalent={
        image
          ? {
              command: commandLine(
                'images set',
                image.name,
                ...(body.reference === undefined ? [] : ['--reference', body.reference]),
                ...options,
              ),
              request: `PATCH ${pathOf(routes.image, { name: image.name })}`,
              body,
            }
          : {
              command: commandLine(
                'images add',
                added.name || 'NAME',
                added.reference || 'REFERENCE',
                ...options,
              ),
              request: `POST ${routes.images}`,
              body: added,
            }
      }
    >
      {!image && (
        <TextInput
          data-autofocus
          label={t('catalogue.name')}
          description={t('catalogue.nameWhat')}
          required
          withAsterisk={false}
          maxLength={63}
          autoComplete="off"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={errorAt(save.error, 'name')}
        />
      )}
      <TextInput
        label={t('catalogue.reference')}
        description={t('catalogue.referenceWhat')}
        required
        withAsterisk={false}
        maxLength={255}
        autoComplete="off"
        spellCheck={false}
        value={reference}
        onChange={(event) => setReference(event.currentTarget.value)}
        error={errorAt(save.error, 'reference')}
        styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
      />
      <Textarea
        label={t('catalogue.description')}
        description={t('catalogue.descriptionWhat')}
        autosize
        maxRows={5}
        maxLength={500}
        value={description}
        onChange={(event) => setDescription(event.currentTarget.value)}
        error={errorAt(save.error, 'description')}
      />
      <Input.Wrapper
        label={t('catalogue.defaults')}
        description={t('catalogue.defaultsWhat')}
        labelElement="div"
      >
        <div className={classes.amounts}>
          {amounts.map((each) => (
            <NumberInput
              key={each}
              label={t(`create.amounts.${each}`)}
              min={resourceBounds[each].minimum}
              max={resourceBounds[each].maximum}
              allowDecimal={each !== 'gpu'}
              value={resources[each] ?? ''}
              onChange={(value) => {
                const { [each]: _before, ...others } = resources;
                setResources(typeof value === 'number' ? { ...others, [each]: value } : others);
              }}
            />
          ))}
        </div>
      </Input.Wrapper>
      <CustomersField value={customers} set={setCustomers} error={errorAt(save.error, 'customers')} />
    </FormDialog>
  );
}
