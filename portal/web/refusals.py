"""Error codes of uploads, orders and background work in the reader's language, and what to do about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

from portal.web.dns_words import DNS_STEPS

#: Uploading a certificate.
UPLOAD: Mapping[str, Any] = {
    "broken_key": _l("The private key cannot be read: its PEM text is damaged."),
    "duplicate_upload": _l("This certificate is here already."),
    "is_crl": _l("This is a certificate revocation list, not a certificate."),
    "is_csr": _l("This is a certificate signing request. Upload the certificate that the CA issued for it."),
    "is_der": _l("This is a binary (DER) file. Convert it to PEM: openssl x509 -inform der -in FILE"),
    "is_pkcs12": _l("This is a PKCS#12 (.pfx, .p12) file. Convert it to PEM: openssl pkcs12 -in FILE -nodes"),
    "is_pkcs7": _l("This is a PKCS#7 bundle. Convert it to PEM: openssl pkcs7 -print_certs -in FILE"),
    "is_precertificate": _l(
        "This is a precertificate, which no browser accepts. Upload the certificate itself."
    ),
    "is_private_key": _l(
        "This is a private key. The certificate belongs here; the key has a field of its own."
    ),
    "is_public_key": _l("This is a bare public key, not a certificate."),
    "key_mismatch": _l("The private key does not belong to this certificate."),
    "key_passphrase_needed": _l("The private key is encrypted: its passphrase is needed."),
    "key_passphrase_wrong": _l("The passphrase does not open the private key."),
    "key_too_costly": _l(
        "Opening this private key takes too much time or memory. Encrypt it with usual settings."
    ),
    "no_key": _l("No private key found. It begins with “-----BEGIN … PRIVATE KEY-----”."),
    "not_text": _l("This is not a text file. A PEM file begins with “-----BEGIN CERTIFICATE-----”."),
    "nothing_uploaded": _l("Paste a certificate, or choose its file."),
    "several_keys": _l("More than one private key was given."),
    "spec_confirmed_already": _l("The specification is confirmed already."),
    "spec_not_offered": _l("This specification does not fit the certificate, or is not sold."),
    "unusable_name": _l("The certificate holds a name that is not a domain name: %(name)s"),
    "upload_too_large": _l(
        "Uploads are limited to %(kib)s KiB. A certificate with its chain and key is far smaller."
    ),
}

#: Orders and payments.
BUYING: Mapping[str, Any] = {
    "certificate_not_found": _l("There is no such certificate."),
    "no_certificate_chosen": _l("Choose at least one certificate."),
    "no_price_book": _l("There is no price book yet. The operator has to load the catalogue first."),
    "no_private_key": _l("Only the public part of this certificate is here, without its private key."),
    "order_already_open": _l("There is an order for this certificate already that is not finished."),
    "order_not_found": _l("There is no such order."),
    "order_not_open": _l("This order can no longer be paid: it has lapsed or been settled."),
    "payment_not_configured": _l("Payments are not set up on this installation. Ask the operator."),
    "payment_not_genuine": _l("The payment message is not genuine."),
    "payment_refused": _l("The payment service refused the request."),
    "payment_replayed": _l("This payment has been counted for another order."),
    "payment_unavailable": _l("The payment service does not answer at the moment."),
    "payment_under_way": _l("Somebody has gone to pay this order; it lapses by itself if nothing is paid."),
    "payment_unknown": _l("There is no such payment."),
    "payment_wrong_amount": _l("The amount paid is not the amount of the order."),
    "price_changed": _l("The price has changed meanwhile. Please look at it again."),
    "spec_not_sold": _l(
        "The catalogue sells no certificate of this specification, so it cannot be renewed here."
    ),
    "spec_unconfirmed": _l("The specification of this certificate has to be confirmed first."),
    "too_many_certificates": _l("At most %(most)s certificates in one order."),
    "unknown_gateway": _l("There is no such payment service."),
}

#: Setting things up: CA accounts, cloud accounts, targets, and work that is asked for by name.
SETTING_UP: Mapping[str, Any] = {
    "ca_account_unknown": _l("There is no CA account called %(name)s."),
    "ca_kind_unknown": _l("There is no kind of CA called %(kind)s."),
    "ca_name_taken": _l("There is a CA account called %(name)s already."),
    "ca_revoke_unsupported": _l("This CA does not revoke certificates."),
    "ca_setting_missing": _l("The CA account lacks the setting %(name)s."),
    "ca_setting_wrong": _l("The setting %(name)s of the CA account is not right."),
    "catalogue_wrong": _l("The catalogue is wrong at %(place)s: %(problem)s"),
    "cloud_account_name_taken": _l("There is a cloud account called %(name)s already."),
    "cloud_account_not_found": _l("There is no such cloud account."),
    "deployment_not_found": _l("There is no such deployment."),
    "dns_settings": _l("The DNS settings lack %(name)s, or it is not right."),
    "domain_invalid": _l("%(domain)s is not a domain name."),
    "field_missing": _l("Please fill in %(field)s."),
    "field_wrong": _l("%(field)s is one of: %(choices)s."),
    "live_host_missing": _l("%(domain)s is a wildcard: name a host to look at."),
    "live_host_not_covered": _l("%(host)s does not belong to %(domain)s."),
    "organisation_ambiguous": _l("More than one organisation is called %(name)s."),
    "organisation_not_found": _l("There is no such organisation."),
    "renewal_finished": _l("This renewal is finished already."),
    "renewal_not_found": _l("There is no such renewal."),
    "target_exists": _l("%(domain)s on %(product)s is a target already."),
    "unknown_cloud_product": _l("There is no cloud product called %(product)s."),
    "unknown_cloud_provider": _l("There is no cloud provider called %(provider)s. There are: %(choices)s."),
    "unknown_field": _l("There is no setting called %(field)s. There are: %(choices)s."),
}

#: Renewals and deployments.
WORK: Mapping[str, Any] = {
    "bound_another": _l("The cloud product holds another certificate than the one deployed."),
    "ca_account_gone": _l("The CA knows our account no more. It is registered again."),
    "ca_busy": _l("The CA account has as many orders open as it may. This one waits for its turn."),
    "ca_circuit_open": _l("The CA has not answered for some time. It is asked again shortly."),
    "ca_order_gone": _l("The CA has given the request up. It is made anew."),
    "ca_order_refused": _l("The CA refuses to issue for %(name)s: %(said)s"),
    "ca_paused": _l("The operator has paused this CA."),
    "ca_rate_limited": _l("The CA allows no more requests at the moment."),
    "ca_refused": _l("The CA refused the request."),
    "ca_unavailable": _l("The CA does not answer at the moment."),
    "challenge_not_offered": _l("The CA does not offer the way of domain validation that is set up."),
    "cloud_busy": _l("The cloud is still busy with an earlier change."),
    "cloud_certificate_refused": _l("The cloud refused the certificate."),
    "cloud_clock": _l("The clock of this installation is wrong: the cloud refuses its requests."),
    "cloud_credentials": _l("The cloud refuses the access key: it was deleted, disabled or mistyped."),
    "cloud_permission": _l("The access key lacks a permission that deploying needs."),
    "cloud_refused": _l("The cloud refused the request."),
    "cloud_target_gone": _l("The domain is no longer set up on this cloud product."),
    "cloud_target_refused": _l(
        "The cloud product does not take a certificate for this domain in its present state."
    ),
    "cloud_throttled": _l("The cloud allows no more requests at the moment."),
    "cloud_unavailable": _l("The cloud does not answer at the moment."),
    "csr_key_compromised": _l(
        "The key behind your certificate signing request is compromised: give a request of another key."
    ),
    "csr_missing": _l("The certificate signing request for this certificate is missing."),
    "dns_delegation_broken": _l("The delegation of the validation record does not lead to our zone."),
    "dns_not_configured": _l("No DNS access is set up for validating this domain."),
    "dns_outside_zone": _l("The validation record lies outside the zone that we may write to."),
    "dns_refused": _l("The DNS service refused the validation record."),
    "dns_unavailable": _l("The DNS service does not answer at the moment."),
    "hosting_not_active": _l("Hosting of this certificate is not active."),
    "injected_fault": _l("A fault that was asked for in a test."),
    "issued_chain_broken": _l("The CA sent a chain that does not hold. The present certificate is kept."),
    "issued_not_valid_now": _l("The CA sent a certificate that is not valid now. The present one is kept."),
    "issued_precertificate": _l("The CA sent a precertificate. The present certificate is kept."),
    "issued_with_client_auth": _l(
        "The CA sent a certificate that is for clients as well. The present one is kept."
    ),
    "issued_with_wrong_key": _l("The CA sent a certificate for another key. The present one is kept."),
    "issued_without_name": _l("The CA sent a certificate that lacks a name. The present one is kept."),
    "live_address_forbidden": _l("The address of the site is not one that may be looked at from here."),
    "live_unreachable": _l("The site does not answer, so what it serves cannot be seen."),
    "name_held_by_another": _l(
        "%(name)s is validated here for another customer. Prove that it is yours by a delegation or DNS credentials."
    ),
    "not_live": _l("The site still serves the old certificate."),
    "spec_mismatch": _l(
        "The renewal would not have the specification of the certificate. It differs in: %(parts)s"
    ),
    "unexpected": _l("Something broke on our side. It has been noted, and is tried again."),
    "validation_failed": _l("The CA could not verify %(name)s: %(said)s"),
}

#: Mails, and what operators do.
OPERATING: Mapping[str, Any] = {
    "chain_incomplete": _l(
        "Only the certificate itself was pasted. Paste the CA's intermediate certificates with it."
    ),
    "clock_wrong": _l("Our clock and another one (%(name)s) disagree. It goes on once they agree again."),
    "heartbeat_unanswered": _l("The address that should hear that all is well does not answer."),
    "issued_other_validation": _l(
        "This is a certificate of type %(said)s; ordered was one of type %(wanted)s."
    ),
    "job_foreign": _l("This job is none of ours and is not run. Forget it."),
    "mail_not_configured": _l("No mail server is set up (PORTAL_MAIL_URL). Mails are kept until one is."),
    "mail_refused": _l("The mail server refused the message."),
    "mail_unavailable": _l("The mail server does not answer, or takes no mail from us at the moment."),
    "nothing_to_try": _l("There is nothing to try: it is settled, or waits for a person."),
    "notice_outdated": _l("What this mail is about has changed or is gone."),
    "recipient_invalid": _l("The address cannot receive mail."),
    "redis_away": _l("Redis is away at the moment. Try again in a little while."),
    "refusal_without_words": _l("Say why: the customer has to know what is missing."),
    "storage_full": _l("There is no room to store what the CA would issue. It goes on once there is."),
}

_INSTALLATION = _l("The operator has been told; you need do nothing.")
_LOOK_AT_DNS = _l("Check the DNS records of the domain, above all CAA, DNSSEC and the validation record.")
_LOOK_AT_KEY = _l("Give the cloud account a valid access key with the permissions for this product.")

#: What the customer can do; nothing where it goes on by itself.
NEXT_STEPS: Mapping[str, Any] = {
    "bound_another": _l("Find out who else deploys certificates to this domain."),
    "ca_refused": _INSTALLATION,
    "challenge_not_offered": _INSTALLATION,
    "cloud_certificate_refused": _INSTALLATION,
    "cloud_credentials": _LOOK_AT_KEY,
    "cloud_permission": _LOOK_AT_KEY,
    "cloud_refused": _INSTALLATION,
    "cloud_target_gone": _l("Set the domain up on the product again, or remove it from the targets."),
    "cloud_target_refused": _l("Turn HTTPS on for the domain in the cloud console."),
    "csr_key_compromised": _l("Choose a new key, or give a new request, on the page of the certificate."),
    "csr_missing": _l("Choose a new key, or give a new request, on the page of the certificate."),
    "dns_delegation_broken": _LOOK_AT_DNS,
    "dns_not_configured": _INSTALLATION,
    "dns_outside_zone": _LOOK_AT_DNS,
    "dns_refused": _INSTALLATION,
    "live_unreachable": _l("Check that the domain points at the cloud product and answers on port 443."),
    "name_held_by_another": _l("Choose delegation or DNS credentials for this name under Domain validation."),
    "not_live": _l("Check that the domain still points at this cloud product."),
    "spec_mismatch": _l("What you paid for is kept. The operator finds a product that fits, or refunds it."),
    "validation_failed": _LOOK_AT_DNS,
    "ca_order_refused": _l("Mend what the CA names, then press “Try now”: it is ordered again."),
    **DNS_STEPS,
}
