# How numbers and times are written.
number = { $number }
months = Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec

# Around every page.
skip-to-content = Skip to content
nav-label = Main menu
nav-home = Home
nav-send = Send
nav-campaigns = Campaigns
nav-notices = Notices
nav-customers = Customers
nav-numbers = WhatsApp
nav-log = Log
nav-access = Access

pages-label = Parts of the list
pages-first = From the start
pages-next = Next
curl-title = Do the same by API (curl)
curl-copy = Copy
curl-copied = Copied

# Errors.
error-title = This page cannot be shown
error-back = Back to home
error-not-found = Nothing is at this address. Check the address, or choose from the menu.
error-for-senders = You may only look. Ask an admin to make you a sender.
error-for-admins = Only an admin may do this. Ask one to do it for you.
error-forged = This form is no longer valid. Load the page again and repeat it. Nothing was changed.
error-too-large = The form is too large. Send it in several parts.

# Home.
home-title = Home
home-empty = Nothing is here yet.

# States of deliveries.
state-queued = Waiting
state-sent = Sent
state-delivered = Delivered
state-read = Read
state-failed = Failed
state-skipped = Skipped
state-uncertain = Uncertain


# WhatsApp numbers.


# Send.


# Campaigns.


# Notices.


# Customers and ODPs.


# Import from CSV.


# Login.


# Users and keys.


# Log.

