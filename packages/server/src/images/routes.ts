/** /api/images */
import { AddImage, Image, ImageName, ImagePage, ListImages, UpdateImage, routes } from '@berth/contract';
import Type from 'typebox';
import { actorOf } from '../audit/audit.ts';
import type { App, Services } from '../http/app.ts';
import { addImage, changeImage, checkImage, imageOf, imagesOf, removeImage } from './images.ts';

const params = Type.Object({ name: ImageName });
const tags = ['images'];

export function imageRoutes(app: App, services: Services): void {
  const { database } = services;

  app.get(
    routes.images,
    {
      schema: {
        summary: 'Images that environments start from, by name; a member sees those that it may use',
        tags,
        querystring: ListImages,
        response: { 200: ImagePage },
      },
    },
    (request) => imagesOf(database, request.principal, request.query),
  );

  app.post(
    routes.images,
    {
      config: { admin: true },
      schema: {
        summary: 'Add an image to the catalogue; ask for its check next',
        tags,
        body: AddImage,
        response: { 201: Image },
      },
    },
    async (request, reply) => reply.code(201).send(await addImage(database, actorOf(request), request.body)),
  );

  app.get(
    routes.image,
    { schema: { summary: 'One image', tags, params, response: { 200: Image } } },
    (request) => imageOf(database, request.principal, request.params.name),
  );

  app.patch(
    routes.image,
    {
      config: { admin: true },
      schema: {
        summary: 'Change an image; environments take another reference over at their next start',
        tags,
        params,
        body: UpdateImage,
        response: { 200: Image },
      },
    },
    (request) => changeImage(database, actorOf(request), request.params.name, request.body),
  );

  app.delete(
    routes.image,
    {
      config: { admin: true },
      schema: {
        summary: 'Take an image out of the catalogue; it stays in the runtime',
        tags,
        params,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await removeImage(database, actorOf(request), request.params.name);
      return reply.code(204).send(null);
    },
  );

  app.post(
    routes.imageCheck,
    {
      config: { admin: true },
      schema: {
        summary: 'Look into the image for what an environment needs; it is pulled where it is missing',
        tags,
        params,
        response: { 200: Image },
      },
    },
    (request) => checkImage(services, actorOf(request), request.params.name),
  );
}
