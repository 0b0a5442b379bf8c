/** Mantine's looks on the router's links. */
import { Anchor, Button } from '@mantine/core';
import type { AnchorProps, ButtonProps } from '@mantine/core';
import { createLink } from '@tanstack/react-router';
import type { ComponentProps } from 'react';

type With<Looks> = Looks & Omit<ComponentProps<'a'>, keyof Looks>;

export const AnchorLink = createLink((props: With<AnchorProps>) => <Anchor {...props} />);
export const ButtonLink = createLink((props: With<ButtonProps>) => <Button component="a" {...props} />);
