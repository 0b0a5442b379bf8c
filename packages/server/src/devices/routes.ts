/** /api/device/*, and the page /device on which a person approves. */
import {
  ApproveDevice,
  DeviceAuthorization,
  DeviceRequest,
  LoginToken,
  RequestDevice,
  RequestDeviceToken,
  ShowDevice,
  routes,
} from '@berth/contract';
import Type from 'typebox';
import { actorOf } from '../audit/audit.ts';
import type { App, Services } from '../http/app.ts';
import { beginDeviceLogin, decideDevice, deviceToken, showDevice } from './devices.ts';
import { devicePage, devicePagePolicy, languageOf } from './page.ts';

export function deviceRoutes(app: App, { database, addresses }: Services): void {
  const tags = ['sign-in'];

  app.post(
    routes.deviceAuthorization,
    {
      config: { public: true, rateLimit: { max: 20, timeWindow: '1 minute' } },
      schema: {
        summary: 'Begin a sign-in through a browser (RFC 8628)',
        tags,
        body: RequestDevice,
        response: { 200: DeviceAuthorization },
      },
    },
    (request) =>
      beginDeviceLogin(
        database,
        addresses.publicUrl,
        actorOf(request).source,
        request.body.name?.trim() ?? '',
      ),
  );

  app.post(
    routes.deviceToken,
    {
      config: { public: true, rateLimit: { max: 120, timeWindow: '1 minute' } },
      schema: {
        summary: 'The token, once a person has approved; until then 400 authorization_pending',
        tags,
        body: RequestDeviceToken,
        response: { 200: LoginToken },
      },
    },
    (request) => deviceToken(database, actorOf(request), request.body.device_code),
  );

  app.get(
    routes.deviceApproval,
    {
      config: { rateLimit: { max: 30, timeWindow: '1 minute' } },
      schema: {
        summary: 'What asks with the code that a terminal shows',
        tags,
        querystring: ShowDevice,
        response: { 200: DeviceRequest },
      },
    },
    (request) => showDevice(database, request.query.user_code),
  );

  app.post(
    routes.deviceApproval,
    {
      config: { rateLimit: { max: 30, timeWindow: '1 minute' } },
      schema: {
        summary: 'Approve or refuse the code that a terminal shows',
        tags,
        body: ApproveDevice,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const { user_code, approve = true } = request.body;
      await decideDevice(database, request.principal, actorOf(request), user_code, approve);
      return reply.code(204).send(null);
    },
  );

  app.get(routes.devicePage, { config: { public: true }, schema: { hide: true } }, (request, reply) =>
    reply
      .header('content-security-policy', devicePagePolicy)
      .header('cache-control', 'no-store')
      .header('vary', 'accept-language')
      .type('text/html; charset=utf-8')
      .send(devicePage(languageOf(request.headers['accept-language']))),
  );
}
