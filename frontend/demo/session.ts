/** Who is signed in.  It stands in for the platform's own sign-in, which is Amplify's with Cognito behind it. */

import { shallowRef } from 'vue'

export interface Person {
  id: string
  name: string
}

interface Session {
  user: Person
  token: string
}

// Of one tab: in two, two people can look at their galleries side by side.
const KEPT_AS = 'gallery.session'

export const session = shallowRef<Session | null>(kept())

/** The users that there are; signing in is choosing one. */
export async function people(signal: AbortSignal): Promise<Person[]> {
  const response = await fetch('/api/users', { signal })
  if (!response.ok) throw new Error(`users: ${response.status}`)
  return ((await response.json()) as { users: Person[] }).users
}

export async function signIn(userId: string): Promise<void> {
  keep(await begun(userId))
}

export function signOut(): void {
  keep(null)
}

let refreshing: Promise<Session> | null = null

/**
 * The token for a request.  One that was refused is replaced without a question, as Amplify does with its refresh
 * token, and by a single request however many were refused at once.
 */
export async function token({ forceRefresh }: { forceRefresh: boolean }): Promise<string | null> {
  const current = session.value
  if (!current || !forceRefresh) return current?.token ?? null
  refreshing ??= begun(current.user.id).finally(() => {
    refreshing = null
  })
  const fresh = await refreshing
  // Signed out, or somebody else, meanwhile.
  if (session.value?.user.id !== fresh.user.id) return null
  keep(fresh)
  return fresh.token
}

/** A request in the name of whoever is signed in; once more with a fresh token where the old one has expired. */
export async function authorised(address: string, init: RequestInit = {}): Promise<Response> {
  const send = async (forceRefresh: boolean) =>
    fetch(address, { ...init, headers: { Authorization: `Bearer ${(await token({ forceRefresh })) ?? ''}` } })
  const response = await send(false)
  return response.status === 401 ? send(true) : response
}

async function begun(userId: string): Promise<Session> {
  const response = await fetch('/api/session', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ user: userId }),
  })
  if (!response.ok) throw new Error(`session: ${response.status}`)
  return (await response.json()) as Session
}

function keep(next: Session | null): void {
  session.value = next
  if (next) sessionStorage.setItem(KEPT_AS, JSON.stringify(next))
  else sessionStorage.removeItem(KEPT_AS)
}

function kept(): Session | null {
  const text = sessionStorage.getItem(KEPT_AS)
  return text === null ? null : (JSON.parse(text) as Session)
}
