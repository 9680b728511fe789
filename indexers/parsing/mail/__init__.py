"""Mails: single ones, from the net (.eml) and from Outlook (.msg), boxes of them, saved pages."""
