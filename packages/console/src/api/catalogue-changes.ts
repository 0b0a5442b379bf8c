import type { AddDataset, AddImage, Dataset, Image, UpdateDataset, UpdateImage } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { call } from './client.ts';

export const addImage = (body: AddImage) => call<Image>('POST', routes.images, { body });
export const updateImage = (name: string, body: UpdateImage) =>
  call<Image>('PATCH', routes.image, { path: { name }, body });
/** It is pulled where it is missing, which takes minutes. */
export const checkImage = (name: string) => call<Image>('POST', routes.imageCheck, { path: { name } });
export const removeImage = (name: string) => call<string>('DELETE', routes.image, { path: { name } });

export const addDataset = (body: AddDataset) => call<Dataset>('POST', routes.datasets, { body });
export const updateDataset = (name: string, body: UpdateDataset) =>
  call<Dataset>('PATCH', routes.dataset, { path: { name }, body });
export const removeDataset = (name: string) => call<string>('DELETE', routes.dataset, { path: { name } });
